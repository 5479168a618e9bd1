"""Encrypted texts can be read with a key only."""

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import BadKey, Cipher, NotDecryptable


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_an_encrypted_text_can_be_decrypted() -> None:
    cipher = Cipher([new_key()])
    assert cipher.decrypt(cipher.encrypt("zoë@example.org")) == "zoë@example.org"


def test_equal_texts_are_encrypted_differently() -> None:
    cipher = Cipher([new_key()])
    first, second = cipher.encrypt("ada@example.org"), cipher.encrypt("ada@example.org")
    assert "ada" not in first
    assert first != second


def test_after_a_rotation_the_old_text_is_decrypted_and_the_new_key_encrypts() -> None:
    old, new = new_key(), new_key()
    before = Cipher([old]).encrypt("ada@example.org")
    rotated = Cipher([new, old])
    assert rotated.decrypt(before) == "ada@example.org"
    assert Cipher([new]).decrypt(rotated.encrypt("ada@example.org")) == "ada@example.org"


@pytest.mark.parametrize("text", ["", "no token", "ünsealed"])
def test_a_text_that_was_never_encrypted_is_rejected(text: str) -> None:
    with pytest.raises(NotDecryptable):
        Cipher([new_key()]).decrypt(text)


def test_another_key_decrypts_nothing() -> None:
    with pytest.raises(NotDecryptable):
        Cipher([new_key()]).decrypt(Cipher([new_key()]).encrypt("ada@example.org"))


def test_a_changed_text_is_refused() -> None:
    cipher = Cipher([new_key()])
    sealed = cipher.encrypt("ada@example.org")
    changed = sealed[:-6] + ("AAAAA=" if sealed[-6:] != "AAAAA=" else "BBBBB=")
    with pytest.raises(NotDecryptable):
        cipher.decrypt(changed)


@pytest.mark.parametrize("keys", [[], ["too short"], ["not base64 at all ü"]])
def test_a_malformed_key_is_rejected_at_once(keys: list[str]) -> None:
    with pytest.raises(BadKey):
        Cipher(keys)
