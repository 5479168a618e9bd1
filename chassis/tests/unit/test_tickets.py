"""Tickets: with which keys they are made and read, and for how long."""

import string

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from chassis.messaging.encryption import LONGEST, BadTicket, TicketExpired, Tickets

KEY, OTHER = Fernet.generate_key().decode(), Fernet.generate_key().decode()
NOW = 1_800_000_000.0
CONTENT = {"order_id": "6f6b5b1e-0000-4000-8000-000000000001", "n": 1}


def tickets(*keys: str, purpose: str = "tests", now: float = NOW) -> Tickets:
    return Tickets(keys or [KEY], purpose, clock=lambda: now)


def test_a_ticket_contains_what_it_was_made_with() -> None:
    assert tickets().read(tickets().issue(CONTENT, NOW + 30)) == CONTENT


def test_a_ticket_goes_into_a_url_as_it_is_and_is_short() -> None:
    ticket = tickets().issue(CONTENT, NOW + 30)
    assert set(ticket) <= set(string.ascii_letters + string.digits + "-_")
    assert len(ticket) < 200


def test_a_tickets_content_cannot_be_read() -> None:
    ticket = tickets().issue(CONTENT, NOW + 30)
    assert "6f6b5b1e" not in ticket
    assert ticket[:8] != tickets().issue(CONTENT, NOW + 31)[:8]


def test_the_same_content_until_the_same_moment_is_the_same_ticket() -> None:
    assert tickets().issue(CONTENT, NOW + 30) == tickets().issue(CONTENT, NOW + 30)


def test_a_ticket_expires() -> None:
    ticket = tickets().issue(CONTENT, NOW + 30)
    assert tickets(now=NOW + 29).read(ticket) == CONTENT
    with pytest.raises(TicketExpired):
        tickets(now=NOW + 30).read(ticket)


def test_a_ticket_for_another_purpose_or_of_another_key_is_invalid() -> None:
    ticket = tickets().issue(CONTENT, NOW + 30)
    for other in (tickets(purpose="test"), tickets(OTHER)):
        with pytest.raises(BadTicket):
            other.read(ticket)


def test_an_old_key_still_reads_while_a_new_one_makes() -> None:
    rotated = tickets(OTHER, KEY)
    assert rotated.read(tickets().issue(CONTENT, NOW + 30)) == CONTENT
    assert tickets(OTHER).read(rotated.issue(CONTENT, NOW + 30)) == CONTENT


def test_a_ticket_with_any_character_changed_is_invalid() -> None:
    ticket = tickets().issue(CONTENT, NOW + 30)
    for n, character in enumerate(ticket):
        for changed in {"A", "B", "-", "_", "=", "é", "", " "} - {character}:
            with pytest.raises(BadTicket):
                tickets().read(f"{ticket[:n]}{changed}{ticket[n + 1 :]}")


@pytest.mark.parametrize("text", ["", "A", "=", "ticket", "A" * LONGEST, "A" * (LONGEST + 1), "\x00" * 40])
def test_any_other_text_is_an_invalid_ticket(text: str) -> None:
    with pytest.raises(BadTicket):
        tickets().read(text)


def test_keys_come_from_the_setting_of_the_cipher() -> None:
    ticket = Tickets.of(SecretStr(f"{OTHER},{KEY}"), "tests").issue(CONTENT, 2**40)
    assert Tickets([OTHER], "tests").read(ticket) == CONTENT
