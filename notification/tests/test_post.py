"""From the intent to the letter: what stops one, and what is tried again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from chassis.sealed import NotSealed, Seal
from chassis.tx import Intent
from notification import domain
from notification.domain import Fate
from notification.letters import Letters
from notification.post import Post

from .events import ORDER, cancelled, paid

NOW = datetime(2026, 1, 4, tzinfo=UTC)
SEAL = Seal([Fernet.generate_key().decode()])


class Carrier:
    """Notes what it was given."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, bytes]] = []

    async def send(self, recipient: str, message: bytes) -> Fate:
        self.carried.append((recipient, message))
        return "sent"


class Cancelled(set[UUID]):
    async def include(self, order_id: UUID) -> bool:
        return order_id in self


def post(carrier: Carrier, *off: UUID) -> Post:
    letters = Letters("Saga Shop <shop@example.com>")
    return Post(letters, SEAL, Cancelled(off), carrier, keep_trying=timedelta(days=3), clock=lambda: NOW)


def receipt(address: str = "ada@example.com", written_at: datetime = NOW) -> Intent:
    written = {"contact": SEAL.seal(address), "written_at": written_at.isoformat()}
    return Intent("receipt", ORDER, {**domain.receipt(paid()), **written})


async def test_the_address_is_opened_for_the_envelope_only() -> None:
    carrier = Carrier()
    assert await post(carrier).deliver(receipt()) == "sent"
    [(recipient, message)] = carrier.carried
    assert recipient == "ada@example.com"
    assert b"Subject: Your receipt" in message


async def test_a_letter_that_was_taken_but_could_not_be_noted_is_not_sent_again() -> None:
    carrier = Carrier()
    office = post(carrier)
    assert [await office.deliver(receipt()) for _ in range(2)] == ["sent", "sent"]
    assert len(carrier.carried) == 1


async def test_a_receipt_is_stopped_when_its_order_was_cancelled_meanwhile() -> None:
    carrier = Carrier()
    assert await post(carrier, ORDER).deliver(receipt()) == "stopped"
    assert carrier.carried == []


async def test_the_cancellation_itself_is_not_stopped() -> None:
    carrier = Carrier()
    payload = {**domain.cancellation(cancelled(), paid=False), **receipt().payload}
    assert await post(carrier, ORDER).deliver(Intent("cancellation", ORDER, payload)) == "sent"


async def test_a_letter_is_given_up_after_days_not_tried_for_ever() -> None:
    carrier = Carrier()
    assert await post(carrier).deliver(receipt(written_at=NOW - timedelta(days=3))) == "sent"
    late = receipt(written_at=NOW - timedelta(days=3, seconds=1))
    assert await post(carrier).deliver(late) == "given_up"
    assert len(carrier.carried) == 1


@pytest.mark.parametrize("address", ["nonsense", "a@example.com\r\nRCPT TO:<b@example.com>", "ä@example.com"])
async def test_what_is_no_address_gets_no_letter(address: str) -> None:
    carrier = Carrier()
    assert await post(carrier).deliver(receipt(address)) == "rejected"
    assert carrier.carried == []


async def test_a_contact_that_another_key_sealed_waits_for_that_key() -> None:
    stranger = Seal([Fernet.generate_key().decode()]).seal("ada@example.com")
    intent = Intent("receipt", ORDER, {**receipt().payload, "contact": stranger})
    with pytest.raises(NotSealed):
        await post(Carrier()).deliver(intent)
