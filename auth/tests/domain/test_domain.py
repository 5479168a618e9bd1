"""The rules of sessions, addresses and passwords."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from auth.domain import Session, address, is_address, login_address, normalised_password
from auth.tokens import RefreshToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def session() -> Session:
    return Session(uuid4(), uuid4(), b"first", NOW, NOW + DAY)


def renew(it: Session, presented: bytes, successor: bytes, now: datetime = NOW) -> str:
    return it.renew(presented, successor, now, idle=DAY, longest=3 * DAY)


def test_each_refresh_takes_the_latest_token_and_gives_the_next() -> None:
    it = session()
    assert renew(it, b"first", b"second") == "renewed"
    assert renew(it, b"second", b"third") == "renewed"


def test_using_a_token_again_ends_the_session() -> None:
    it = session()
    renew(it, b"first", b"second")
    assert renew(it, b"first", b"thief's") == "reused"
    assert renew(it, b"second", b"third") == "over"


def test_an_idle_session_expires() -> None:
    it = session()
    assert renew(it, b"first", b"second", NOW + DAY) == "over"


def test_refreshing_does_not_extend_a_session_beyond_its_maximum() -> None:
    it = session()
    for day, (latest, following) in enumerate([(b"first", b"b"), (b"b", b"c"), (b"c", b"d")]):
        renew(it, latest, following, NOW + 0.9 * (day + 1) * DAY)
    assert it.expires_at == NOW + 3 * DAY
    assert renew(it, b"d", b"e", NOW + 3 * DAY) == "over"


def test_a_session_ends_once() -> None:
    it = session()
    it.end(NOW)
    it.end(NOW + DAY)
    assert it.ended_at == NOW


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
    ],
)
def test_an_address_has_one_form(typed: str, kept: str) -> None:
    assert address(typed) == kept


@pytest.mark.parametrize("typed", ["ada", "ada@", "a\r\nb@example.com", "ä@example.com", "<a@example.com>"])
def test_an_address_that_mail_servers_may_reject_is_invalid(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        address(typed)
    assert login_address(typed) == typed


def test_a_password_may_not_be_the_address_or_its_name() -> None:
    for password in ("ada.lovelace@example.com", "Ada.Lovelace"):
        assert is_address(password, "ada.lovelace@example.com")
    assert not is_address("Ada.Lovelace!", "ada.lovelace@example.com")


def test_a_password_is_the_same_from_any_keyboard() -> None:
    assert normalised_password("e\u0301clair") == normalised_password("\u00e9clair")


def test_a_refresh_token_can_be_parsed_and_its_repr_hides_the_secret() -> None:
    token = RefreshToken.new(uuid4())
    assert RefreshToken.parse(str(token)) == token
    assert repr(token.secret) not in repr(token)


@pytest.mark.parametrize("text", ["", "x", "é" * 64, "A" * 63, "A" * 68, "a+/=" * 16])
def test_text_that_is_not_a_refresh_token_is_none(text: str) -> None:
    assert RefreshToken.parse(text) is None
