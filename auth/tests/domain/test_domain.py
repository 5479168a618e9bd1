"""The rules of sessions, addresses and passwords."""

from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from uuid import uuid4

import pytest

from auth.domain import (
    Session,
    SessionRules,
    address,
    is_address,
    login_address,
    normalised_password,
    secret_hash,
)
from auth.tokens import RefreshToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


RULES = SessionRules(idle=DAY, longest=3 * DAY, grace=timedelta(seconds=10))


def session() -> Session:
    return Session(uuid4(), uuid4(), secret_hash(b"first"), NOW, NOW + DAY)


def renew(it: Session, secret: bytes, now: datetime = NOW) -> bytes | str:
    return it.renew(secret, token_bytes(32), now, RULES)


def renewed(it: Session, secret: bytes, now: datetime = NOW) -> bytes:
    successor = renew(it, secret, now)
    assert isinstance(successor, bytes)
    return successor


def test_each_refresh_takes_the_latest_token_and_gives_the_next() -> None:
    it = session()
    second = renewed(it, b"first")
    assert len({b"first", second, renewed(it, second)}) == 3


def test_a_token_gives_the_same_successor_while_the_grace_lasts() -> None:
    it = session()
    second = renewed(it, b"first")
    expires_at = it.expires_at
    assert renew(it, b"first", NOW + 0.9 * RULES.grace) == second
    assert it.expires_at == expires_at
    assert it.ended_at is None


def test_using_a_token_after_the_grace_ends_the_session() -> None:
    it = session()
    second = renewed(it, b"first")
    assert renew(it, b"first", NOW + RULES.grace) == "reused"
    assert renew(it, second) == "over"


def test_the_grace_is_for_the_token_before_the_latest_only() -> None:
    it = session()
    second = renewed(it, b"first")
    renewed(it, second)
    assert renew(it, b"first") == "reused"


def test_a_token_of_another_family_gets_no_grace() -> None:
    it = session()
    renewed(it, b"first")
    assert renew(it, b"forged") == "reused"


def test_a_session_that_was_logged_out_gets_no_grace() -> None:
    it = session()
    renewed(it, b"first")
    it.end(NOW)
    assert renew(it, b"first") == "over"


def test_a_predecessor_alone_does_not_give_its_successor_away() -> None:
    assert renewed(session(), b"first") != renewed(session(), b"first")


def test_an_idle_session_expires() -> None:
    it = session()
    assert renew(it, b"first", NOW + DAY) == "over"


def test_refreshing_does_not_extend_a_session_beyond_its_maximum() -> None:
    it = session()
    latest = b"first"
    for day in range(1, 4):
        latest = renewed(it, latest, NOW + 0.9 * day * DAY)
    assert it.expires_at == NOW + 3 * DAY
    assert renew(it, latest, NOW + 3 * DAY) == "over"


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
