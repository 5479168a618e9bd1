"""What is sealed stays shut for everyone without a key."""

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import BadKey, Cipher, NotDecryptable


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_a_sealed_text_opens_again() -> None:
    cipher = Cipher([new_key()])
    assert cipher.decrypt(cipher.encrypt("zoë@example.org")) == "zoë@example.org"


def test_sealing_hides_the_text_and_that_two_texts_are_the_same() -> None:
    cipher = Cipher([new_key()])
    first, second = cipher.encrypt("ada@example.org"), cipher.encrypt("ada@example.org")
    assert "ada" not in first
    assert first != second


def test_after_a_rotation_the_old_text_opens_and_the_new_key_seals() -> None:
    old, new = new_key(), new_key()
    before = Cipher([old]).encrypt("ada@example.org")
    rotated = Cipher([new, old])
    assert rotated.decrypt(before) == "ada@example.org"
    assert Cipher([new]).decrypt(rotated.encrypt("ada@example.org")) == "ada@example.org"


@pytest.mark.parametrize("text", ["", "no token", "ünsealed"])
def test_what_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(NotDecryptable):
        Cipher([new_key()]).decrypt(text)


def test_a_foreign_key_opens_nothing() -> None:
    with pytest.raises(NotDecryptable):
        Cipher([new_key()]).decrypt(Cipher([new_key()]).encrypt("ada@example.org"))


def test_a_changed_text_is_refused() -> None:
    cipher = Cipher([new_key()])
    sealed = cipher.encrypt("ada@example.org")
    changed = sealed[:-6] + ("AAAAA=" if sealed[-6:] != "AAAAA=" else "BBBBB=")
    with pytest.raises(NotDecryptable):
        cipher.decrypt(changed)


@pytest.mark.parametrize("keys", [[], ["too short"], ["not base64 at all ü"]])
def test_a_bad_key_is_named_at_once(keys: list[str]) -> None:
    with pytest.raises(BadKey):
        Cipher(keys)
