"""Sessions and addresses, by their rules alone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from auth.domain import Session, WeakPassword, address, address_tried, check_password, passphrase
from auth.refresh import RefreshToken

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


def test_a_token_used_before_ends_the_session_for_everybody() -> None:
    it = session()
    renew(it, b"first", b"second")
    assert renew(it, b"first", b"thief's") == "reused"
    assert renew(it, b"second", b"third") == "over"


def test_a_session_that_nobody_used_for_long_is_over() -> None:
    it = session()
    assert renew(it, b"first", b"second", NOW + DAY) == "over"


def test_no_amount_of_refreshing_outlives_the_longest_session() -> None:
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
def test_what_not_every_mail_server_takes_is_no_address(typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        address(typed)
    assert address_tried(typed) == typed


def test_a_password_may_not_be_the_address_or_its_name() -> None:
    for password in ("ada.lovelace@example.com", "Ada.Lovelace"):
        with pytest.raises(WeakPassword):
            check_password(password, "ada.lovelace@example.com")
    check_password("Ada.Lovelace!", "ada.lovelace@example.com")


def test_a_password_is_the_same_from_any_keyboard() -> None:
    assert passphrase("e\u0301clair") == passphrase("\u00e9clair")


def test_a_refresh_token_survives_being_written_down_and_hides_its_secret() -> None:
    token = RefreshToken.fresh(uuid4())
    assert RefreshToken.parse(str(token)) == token
    assert repr(token.secret) not in repr(token)


@pytest.mark.parametrize("text", ["", "x", "é" * 64, "A" * 63, "A" * 68, "a+/=" * 16])
def test_what_was_never_a_refresh_token_is_none(text: str) -> None:
    assert RefreshToken.parse(text) is None
