"""Which letters are owed, whatever order the events come in and however often."""

from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.testing import Harness
from contracts import (
    MailResendRequested,
    Money,
    OrderCancelled,
    OrderPaid,
    PaymentRefunded,
    PaymentVoided,
)
from notification.domain import Correspondence, KeptMail, Outcome
from notification.saga import intents, steps

from .events import ORDER, SHOPPER, cancelled, out_of_stock, paid, refund_failed, refunded, registered, voided

SENT = Outcome("sent")
REJECTED = Outcome("rejected", "refused with 550 5.1.1")


@pytest.fixture
def notification() -> Harness:
    return Harness(steps, intents=intents)


def owed(notification: Harness) -> list[str]:
    return sorted(intent.kind for intent in notification.intended.values())


def letters(notification: Harness, subject: UUID = ORDER) -> dict[str, str]:
    correspondence = notification.row(Correspondence, subject)
    assert correspondence is not None
    return correspondence.letters


def kept(notification: Harness, kind: str = "receipt") -> KeptMail:
    found = notification.row(KeptMail, f"{kind}:{ORDER}")
    assert found is not None
    return found


def resend(reason: Any) -> MailResendRequested:
    return MailResendRequested(resend_id=uuid4(), subject_id=ORDER, reason=reason)


async def test_a_paid_order_is_owed_a_receipt(notification: Harness) -> None:
    await notification.hear(paid())

    [intent] = notification.intended.values()
    assert intent.key == f"receipt:{ORDER}"
    assert intent.payload["total"] == 2999
    assert intent.payload["contact"] == "sealed"
    await notification.settle("receipt", ORDER, SENT)
    assert letters(notification) == {"receipt": "sent"}


async def test_each_event_leads_to_its_letter(notification: Harness) -> None:
    for event, kind in ((cancelled(), "cancellation"), (refunded(), "refund"), (registered(), "welcome")):
        await notification.hear(event)
        assert f"{kind}:{event.subject}" in notification.intended


async def test_a_free_order_is_owed_a_receipt_and_no_refund(notification: Harness) -> None:
    nothing = Money(amount=0, currency="GBP")
    guests: dict[str, Any] = {"total": nothing, "guest": True}
    for event in (paid(**guests), cancelled(was_paid=True, **guests), refunded(total=nothing)):
        await notification.hear(event)
    assert owed(notification) == ["cancellation", "receipt"]


async def test_a_guests_free_order_that_was_never_paid_is_no_mail(notification: Harness) -> None:
    await notification.hear(cancelled(guest=True, total=Money(amount=0, currency="GBP")))
    assert owed(notification) == []


async def test_a_cancelled_order_gets_no_receipt(notification: Harness) -> None:
    await notification.hear(cancelled(), paid())
    assert owed(notification) == ["cancellation"]
    assert letters(notification)["receipt"] == "stopped"


async def test_a_refund_that_came_back_is_told_once_beside_the_one_that_was_made(
    notification: Harness,
) -> None:
    for _ in range(2):
        await notification.hear(paid(), refund_failed(), refunded())
        notification.inbox.clear()
    kinds = [intent.kind for intent in notification.intended.values()]
    assert sorted(kinds) == ["receipt", "refund", "refund"]


async def test_a_refunded_order_gets_no_receipt_either(notification: Harness) -> None:
    await notification.hear(refunded(), paid())
    assert owed(notification) == ["refund"]


async def test_a_receipt_stopped_on_the_way_is_noted(notification: Harness) -> None:
    await notification.hear(paid(), cancelled())
    await notification.settle("receipt", ORDER, Outcome("stopped"))
    assert letters(notification) == {"receipt": "stopped", "cancellation": "intended"}


async def test_a_letter_heard_of_again_long_after_is_not_written_again(notification: Harness) -> None:
    await notification.hear(paid(), refunded(), cancelled(), registered())
    for kind in ("receipt", "refund", "cancellation"):
        await notification.settle(kind, ORDER, SENT)
    await notification.settle("welcome", SHOPPER, SENT)
    notification.inbox.clear()

    await notification.hear(paid(), refunded(), cancelled(), registered())

    assert owed(notification) == []
    assert set(letters(notification).values()) == {"sent"}


@pytest.mark.parametrize("outcome", [REJECTED, Outcome("given_up"), Outcome("in_doubt")])
async def test_a_letter_that_cannot_be_sent_is_kept_and_not_tried_again(
    notification: Harness, outcome: Outcome
) -> None:
    await notification.hear(paid())
    intent = notification.intended[f"receipt:{ORDER}"]
    await notification.settle("receipt", ORDER, outcome)
    notification.inbox.clear()
    await notification.hear(paid())
    assert owed(notification) == []
    assert letters(notification) == {"receipt": outcome.fate}
    found = kept(notification)
    assert (found.fate, found.why, found.payload) == (outcome.fate, outcome.why, intent.payload)


async def test_what_was_sent_is_not_kept(notification: Harness) -> None:
    await notification.hear(paid())
    await notification.settle("receipt", ORDER, SENT)
    assert notification.row(KeptMail, f"receipt:{ORDER}") is None


async def test_an_undeliverable_letter_is_sent_again_when_an_operator_asks(notification: Harness) -> None:
    await notification.hear(paid())
    first = notification.intended[f"receipt:{ORDER}"]
    await notification.settle("receipt", ORDER, REJECTED)
    notification.now += timedelta(days=4)

    await notification.hear(resend("receipt"))

    [intent] = notification.intended.values()
    assert intent.key == first.key
    assert intent.payload["lines"] == first.payload["lines"]
    assert intent.payload["written_at"] == notification.now.isoformat()
    assert letters(notification) == {"receipt": "intended"}
    await notification.settle("receipt", ORDER, SENT)
    assert letters(notification) == {"receipt": "sent"}
    assert kept(notification).fate == "sent"


async def test_a_request_counts_once_however_often_it_is_heard(notification: Harness) -> None:
    request = resend("receipt")
    await notification.hear(paid())
    await notification.settle("receipt", ORDER, REJECTED)
    await notification.hear(request)
    await notification.settle("receipt", ORDER, REJECTED)
    notification.inbox.clear()
    await notification.hear(request)
    assert owed(notification) == []
    await notification.hear(resend("receipt"))
    assert owed(notification) == ["receipt"]
    assert len(kept(notification).resends) == 2


async def test_only_what_is_undeliverable_is_sent_again(notification: Harness) -> None:
    await notification.hear(paid(), resend("receipt"), resend("refund"))
    assert owed(notification) == ["receipt"]
    await notification.settle("receipt", ORDER, SENT)
    await notification.hear(resend("receipt"))
    assert owed(notification) == []


async def test_two_requests_in_a_row_send_one_letter(notification: Harness) -> None:
    await notification.hear(paid())
    await notification.settle("receipt", ORDER, Outcome("in_doubt"))
    await notification.hear(resend("receipt"), resend("receipt"))
    await notification.settle("receipt", ORDER, SENT)
    assert owed(notification) == []
    assert len(kept(notification).resends) == 1


async def test_a_guest_who_never_paid_gets_no_mail(notification: Harness) -> None:
    for event in [cancelled("payment_declined", guest=True)] * 2:
        await notification.hear(event)
        notification.inbox.clear()
    assert owed(notification) == []
    assert letters(notification) == {"cancellation": "withheld"}


@pytest.mark.parametrize("events", [*permutations([voided(), cancelled(guest=True)])])
async def test_a_guest_whose_money_was_held_reads_of_the_cancellation_in_whatever_order(
    notification: Harness, events: tuple[PaymentVoided | OrderCancelled, ...]
) -> None:
    for event in [*events, *events]:
        await notification.hear(event)
        notification.inbox.clear()
    [intent] = notification.intended.values()
    assert intent.key == f"cancellation:{ORDER}"
    assert intent.payload["contact"] == "sealed"
    await notification.settle("cancellation", ORDER, SENT)
    await notification.hear(*events)
    assert owed(notification) == []
    assert letters(notification) == {"cancellation": "sent"}


async def test_a_withheld_letter_goes_out_when_the_money_is_known_to_come_back(notification: Harness) -> None:
    await notification.hear(cancelled(guest=True), refunded())
    assert owed(notification) == ["cancellation", "refund"]


async def test_a_withheld_letter_tells_of_a_capture_that_is_heard_of_later(notification: Harness) -> None:
    await notification.hear(cancelled(guest=True), paid())
    assert notification.intended[f"cancellation:{ORDER}"].payload["paid"] is True
    assert letters(notification)["receipt"] == "stopped"


async def test_a_withheld_letter_cannot_be_asked_for(notification: Harness) -> None:
    await notification.hear(cancelled(guest=True), resend("cancellation"))
    assert owed(notification) == []


@pytest.mark.parametrize("guest", [None, False])
async def test_whoever_is_not_known_to_be_a_guest_reads_of_every_cancellation(
    notification: Harness, guest: bool | None
) -> None:
    await notification.hear(cancelled("payment_declined", guest=guest))
    assert owed(notification) == ["cancellation"]


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
