"""The order of a rotation, and what it refuses because somebody would be locked out."""

from pathlib import Path

import pytest

from auth.keys import PUBLISHED_SECONDS, SigningKeys
from shop.errors import ShopError
from shop.keys.ring import LONGEST_TOKEN_SECONDS, Ring, SigningKey, UnsafeRotation, refuse_too_new
from shop.secrets import SIGNING_KEYS, Secrets

NOW = 1_800_000_000
FIRST, SECOND, THIRD = (SigningKey.made(NOW + n) for n in range(3))


def kids(ring: Ring) -> list[str]:
    return [key.kid for key in ring.keys]


def test_a_new_key_is_published_and_does_not_sign() -> None:
    ring = Ring([FIRST]).add(SECOND)
    assert ring.signer is FIRST
    assert ring.waiting is SECOND


def test_a_key_is_itself_however_often_it_was_read() -> None:
    ring = Ring([FIRST]).add(SECOND)
    again = Ring.read(ring.text())
    assert kids(again.use(ring.key(SECOND.kid), NOW)) == [SECOND.kid, FIRST.kid]
    assert kids(again.drop(SECOND, NOW, with_its_tokens=False)) == [FIRST.kid]


def test_a_used_key_signs_and_the_former_one_stays() -> None:
    ring = Ring([FIRST]).add(SECOND).use(SECOND, NOW)
    assert kids(ring) == [SECOND.kid, FIRST.kid]
    assert ring.keys[1].retired_at == NOW
    assert ring.waiting is None


def test_a_retired_key_is_dropped_when_its_last_token_is_over() -> None:
    ring = Ring([FIRST]).add(SECOND).use(SECOND, NOW)
    old = ring.key(FIRST.kid)
    with pytest.raises(UnsafeRotation, match="are valid until 2027-01-16"):
        ring.drop(old, NOW + LONGEST_TOKEN_SECONDS - 1, with_its_tokens=False)
    assert kids(ring.drop(old, NOW + LONGEST_TOKEN_SECONDS, with_its_tokens=False)) == [SECOND.kid]


def test_a_stolen_key_is_dropped_at_once() -> None:
    ring = Ring([FIRST]).add(SECOND).use(SECOND, NOW)
    assert kids(ring.drop(ring.key(FIRST.kid), NOW, with_its_tokens=True)) == [SECOND.kid]


def test_a_key_that_has_signed_nothing_is_dropped_freely() -> None:
    assert kids(Ring([FIRST]).add(SECOND).drop(SECOND, NOW, with_its_tokens=False)) == [FIRST.kid]


def test_the_key_that_signs_is_never_dropped() -> None:
    with pytest.raises(UnsafeRotation, match="is the signing key: use another first"):
        Ring([FIRST, SECOND]).drop(FIRST, NOW, with_its_tokens=True)


def test_one_rotation_goes_at_a_time() -> None:
    with pytest.raises(UnsafeRotation, match="is added and not yet used"):
        Ring([FIRST]).add(SECOND).add(THIRD)
    assert Ring([FIRST]).add(SECOND).use(SECOND, NOW).add(THIRD).waiting is THIRD


def test_what_signs_already_is_not_used_again() -> None:
    with pytest.raises(UnsafeRotation, match="is the signing key already"):
        Ring([FIRST]).use(FIRST, NOW)


def test_a_key_that_cannot_sign_is_not_used() -> None:
    public = SigningKey({name: value for name, value in SECOND.jwk.items() if name != "d"})
    with pytest.raises(UnsafeRotation, match="no private part"):
        Ring([FIRST, public]).use(public, NOW)


def test_a_retired_key_can_be_used_again() -> None:
    ring = Ring([FIRST]).add(SECOND).use(SECOND, NOW)
    ring = ring.use(ring.key(FIRST.kid), NOW + 1)
    assert kids(ring) == [FIRST.kid, SECOND.kid]
    assert [key.retired_at for key in ring.keys] == [None, NOW + 1]


def test_where_nobody_can_be_asked_a_key_is_used_when_all_can_have_it() -> None:
    with pytest.raises(UnsafeRotation, match="may not have"):
        refuse_too_new(FIRST, NOW + PUBLISHED_SECONDS - 1)
    refuse_too_new(FIRST, NOW + PUBLISHED_SECONDS)


def test_a_key_is_named_by_how_it_begins() -> None:
    ring = Ring([FIRST, SECOND])
    assert ring.key(SECOND.kid[:-1]) is SECOND
    for name, why in (("", "more than one"), ("nobody!", "no key")):
        with pytest.raises(ShopError, match=why):
            ring.key(name)


def test_auth_reads_what_a_rotation_writes() -> None:
    ring = Ring([FIRST]).add(SECOND).use(SECOND, NOW)
    assert SigningKeys.parse(ring.text(), "the ring").kids == [SECOND.kid, FIRST.kid]
    assert kids(Ring.read(ring.text())) == kids(ring)


def test_the_keys_that_a_stack_begins_with_can_be_rotated(tmp_path: Path) -> None:
    ring = Ring.read(Secrets(tmp_path / "secrets").read(SIGNING_KEYS))
    assert ring.add(SECOND).use(SECOND, NOW).keys[1].retired_at == NOW


@pytest.mark.parametrize("text", ["", "[]", '{"keys": []}', '{"keys": [{"kty": "EC"}]}', '{"keys": [7]}'])
def test_what_is_no_key_set_is_refused(text: str) -> None:
    with pytest.raises(ShopError, match="signing keys"):
        Ring.read(text)
