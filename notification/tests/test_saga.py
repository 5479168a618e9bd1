"""Which letters are owed, whatever order the events come in and however often."""

from itertools import permutations
from uuid import UUID

import pytest

from chassis.harness import Harness
from contracts import OrderCancelled, OrderPaid, PaymentRefunded
from notification.domain import Correspondence
from notification.saga import intents, steps

from .events import ORDER, SHOPPER, cancelled, out_of_stock, paid, refunded, registered


@pytest.fixture
def notification() -> Harness:
    return Harness(steps, intents=intents)


def owed(notification: Harness) -> list[str]:
    return sorted(intent.kind for intent in notification.intended.values())


def letters(notification: Harness, subject: UUID = ORDER) -> dict[str, str]:
    correspondence = notification.row(Correspondence, subject)
    assert correspondence is not None
    return correspondence.letters


async def test_a_paid_order_is_owed_a_receipt(notification: Harness) -> None:
    await notification.hear(paid())

    [intent] = notification.intended.values()
    assert intent.key == f"receipt:{ORDER}"
    assert intent.payload["total"] == 2999
    assert intent.payload["contact"] == "sealed"
    await notification.settle("receipt", ORDER, "sent")
    assert letters(notification) == {"receipt": "sent"}


async def test_each_event_leads_to_its_letter(notification: Harness) -> None:
    for event, kind in ((cancelled(), "cancellation"), (refunded(), "refund"), (registered(), "welcome")):
        await notification.hear(event)
        assert f"{kind}:{event.subject}" in notification.intended


async def test_a_cancelled_order_gets_no_receipt(notification: Harness) -> None:
    await notification.hear(cancelled(), paid())
    assert owed(notification) == ["cancellation"]
    assert letters(notification)["receipt"] == "stopped"


async def test_a_refunded_order_gets_no_receipt_either(notification: Harness) -> None:
    await notification.hear(refunded(), paid())
    assert owed(notification) == ["refund"]


async def test_a_receipt_stopped_on_the_way_is_noted(notification: Harness) -> None:
    await notification.hear(paid(), cancelled())
    await notification.settle("receipt", ORDER, "stopped")
    assert letters(notification) == {"receipt": "stopped", "cancellation": "intended"}


async def test_a_letter_heard_of_again_long_after_is_not_written_again(notification: Harness) -> None:
    await notification.hear(paid(), refunded(), cancelled(), registered())
    for kind in ("receipt", "refund", "cancellation"):
        await notification.settle(kind, ORDER, "sent")
    await notification.settle("welcome", SHOPPER, "sent")
    notification.inbox.clear()

    await notification.hear(paid(), refunded(), cancelled(), registered())

    assert owed(notification) == []
    assert set(letters(notification).values()) == {"sent"}


@pytest.mark.parametrize("outcome", ["rejected", "given_up"])
async def test_a_letter_that_cannot_be_sent_is_noted_and_not_tried_again(
    notification: Harness, outcome: str
) -> None:
    await notification.hear(paid())
    await notification.settle("receipt", ORDER, outcome)
    notification.inbox.clear()
    await notification.hear(paid())
    assert owed(notification) == []
    assert letters(notification) == {"receipt": outcome}


async def test_without_a_contact_there_is_no_letter_and_that_is_noted(notification: Harness) -> None:
    await notification.hear(
        paid(contact=None), cancelled(contact=None), refunded(contact=None), registered(contact=None)
    )
    assert owed(notification) == []
    assert set(letters(notification).values()) == {"no_contact"}
    assert letters(notification, SHOPPER) == {"welcome": "no_contact"}


@pytest.mark.parametrize("events", [*permutations([paid(), cancelled(was_paid=True), refunded()])])
async def test_in_any_order_the_shopper_hears_of_cancellation_and_refund_once(
    notification: Harness, events: tuple[OrderPaid | OrderCancelled | PaymentRefunded, ...]
) -> None:
    await notification.hear(*events, *events)
    assert [kind for kind in owed(notification) if kind != "receipt"] == ["cancellation", "refund"]
    first_heard = events[0].type
    assert ("receipt" in owed(notification)) == (first_heard == "order.paid")


async def test_a_capture_that_crossed_the_cancel_is_not_denied(notification: Harness) -> None:
    await notification.hear(paid(), cancelled(was_paid=False))
    assert notification.intended[f"cancellation:{ORDER}"].payload["paid"] is True


async def test_short_lines_are_told_by_name(notification: Harness) -> None:
    await notification.hear(out_of_stock())
    payload = notification.intended[f"cancellation:{ORDER}"].payload
    assert payload["short"] == [{"name": "Mug <b>large</b>", "wanted": 2, "available": 1}]
    assert payload["reason"] == "out_of_stock"
    assert payload["paid"] is False
