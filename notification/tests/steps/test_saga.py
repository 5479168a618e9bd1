"""Which mails are due, in whatever sequence the events arrive and however often."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from chassis.testing import Harness
from contracts import (
    Event,
    MailResendRequested,
    Money,
    OrderCancelled,
    OrderPaid,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.testing import (
    CONTACT,
    DEADLINE,
    ORDER_ID,
    SHOPPER_ID,
    mail_resend_requested,
    order_anonymised,
    payment_voided,
    user_confirmation_requested,
    user_deleted,
    user_password_changed,
    user_password_reset_requested,
    user_registered,
)
from notification.domain import Correspondence, KeptMail, Outcome
from notification.saga import intents, steps

from ..events import cancelled, out_of_stock, paid, refund_failed, refunded

SENT = Outcome("sent")
REJECTED = Outcome("rejected", "refused with 550 5.1.1")


@pytest.fixture
def notification() -> Harness:
    return Harness(steps, intents=intents)


def intended(notification: Harness) -> list[str]:
    return sorted(intent.kind for intent in notification.intended.values())


def fates(notification: Harness, subject: UUID = ORDER_ID) -> dict[str, str]:
    correspondence = notification.row(Correspondence, subject)
    assert correspondence is not None
    return correspondence.mails


def kept(notification: Harness, kind: str = "receipt") -> KeptMail:
    found = notification.row(KeptMail, f"{kind}:{ORDER_ID}")
    assert found is not None
    return found


def resend(reason: Any) -> MailResendRequested:
    return mail_resend_requested(reason=reason)


async def test_a_paid_order_gets_a_receipt(notification: Harness) -> None:
    await notification.consume(paid())

    [intent] = notification.intended.values()
    assert intent.key == f"receipt:{ORDER_ID}"
    assert intent.payload["total"] == 2999
    assert intent.payload["contact"] == CONTACT
    await notification.settle("receipt", ORDER_ID, SENT)
    assert fates(notification) == {"receipt": "sent"}


async def test_each_event_has_its_mail(notification: Harness) -> None:
    for event, kind in (
        (cancelled(), "cancellation"),
        (refunded(), "refund"),
        (user_registered(), "welcome"),
    ):
        await notification.consume(event)
        assert f"{kind}:{event.subject}" in notification.intended


@pytest.mark.parametrize("event", [user_password_reset_requested, user_confirmation_requested])
async def test_a_mail_with_a_token_is_sent_for_each_request(
    notification: Harness, event: Callable[[], Event]
) -> None:
    first, second = event(), event()
    await notification.consume(first, second, first)
    assert sorted(notification.intended) == sorted(f"account:{one.subject}" for one in (first, second))
    payload = notification.intended[f"account:{first.subject}"].payload
    assert payload["token"] == "encrypted token"
    assert payload["expires_at"] == DEADLINE.isoformat()


async def test_each_change_of_a_password_is_announced(notification: Harness) -> None:
    changed = user_password_changed()
    await notification.consume(changed)
    assert notification.intended[f"account:{changed.subject}"].payload["notice"] == "password_changed"


async def test_an_undeliverable_mail_with_a_token_is_not_kept(notification: Harness) -> None:
    asked = user_password_reset_requested()
    await notification.consume(asked)
    await notification.settle("account", asked.subject, REJECTED)
    assert fates(notification, asked.subject) == {"account": "rejected"}
    assert notification.row(KeptMail, f"account:{asked.subject}") is None


async def test_an_account_of_an_older_release_is_welcomed_without_a_token(notification: Harness) -> None:
    await notification.consume(user_registered(token=None, expires_at=None))
    assert "token" not in notification.intended[f"welcome:{SHOPPER_ID}"].payload


async def test_a_deleted_account_gets_a_last_mail_and_none_after_it(notification: Harness) -> None:
    deleted = user_deleted()
    await notification.consume(deleted, deleted, user_registered())
    [intent] = notification.intended.values()
    assert (intent.key, intent.payload["notice"]) == (f"account:{SHOPPER_ID}", "deleted")
    assert fates(notification, SHOPPER_ID) == {"account": "intended", "welcome": "no_contact"}


async def test_no_mail_is_sent_about_an_anonymised_order_whatever_is_replayed(notification: Harness) -> None:
    await notification.consume(order_anonymised(), paid(), refunded())
    assert intended(notification) == []
    assert fates(notification) == {"receipt": "no_contact", "refund": "no_contact"}


async def test_a_free_order_gets_a_receipt_and_no_refund(notification: Harness) -> None:
    nothing = Money(amount=0, currency="GBP")
    guests: dict[str, Any] = {"total": nothing, "guest": True}
    for event in (paid(**guests), cancelled(was_paid=True, **guests), refunded(total=nothing)):
        await notification.consume(event)
    assert intended(notification) == ["cancellation", "receipt"]


async def test_an_unpaid_free_order_of_a_guest_gets_no_mail(notification: Harness) -> None:
    await notification.consume(cancelled(guest=True, total=Money(amount=0, currency="GBP")))
    assert intended(notification) == []


async def test_a_cancelled_order_gets_no_receipt(notification: Harness) -> None:
    await notification.consume(cancelled(), paid())
    assert intended(notification) == ["cancellation"]
    assert fates(notification)["receipt"] == "stopped"


async def test_a_failed_refund_gets_a_mail_beside_that_of_the_refund(
    notification: Harness,
) -> None:
    for _ in range(2):
        await notification.consume(paid(), refund_failed(), refunded())
        notification.inbox.clear()
    kinds = [intent.kind for intent in notification.intended.values()]
    assert sorted(kinds) == ["receipt", "refund", "refund"]


async def test_a_refunded_order_gets_no_receipt_either(notification: Harness) -> None:
    await notification.consume(refunded(), paid())
    assert intended(notification) == ["refund"]


async def test_a_stopped_receipt_is_recorded(notification: Harness) -> None:
    await notification.consume(paid(), cancelled())
    await notification.settle("receipt", ORDER_ID, Outcome("stopped"))
    assert fates(notification) == {"receipt": "stopped", "cancellation": "intended"}


async def test_repeats_that_the_inbox_has_forgotten_send_no_mail(notification: Harness) -> None:
    await notification.consume(paid(), refunded(), cancelled(), user_registered())
    for kind in ("receipt", "refund", "cancellation"):
        await notification.settle(kind, ORDER_ID, SENT)
    await notification.settle("welcome", SHOPPER_ID, SENT)
    notification.inbox.clear()

    await notification.consume(paid(), refunded(), cancelled(), user_registered())

    assert intended(notification) == []
    assert set(fates(notification).values()) == {"sent"}


@pytest.mark.parametrize("outcome", [REJECTED, Outcome("given_up"), Outcome("in_doubt")])
async def test_an_undeliverable_mail_is_kept_and_not_retried(notification: Harness, outcome: Outcome) -> None:
    await notification.consume(paid())
    intent = notification.intended[f"receipt:{ORDER_ID}"]
    await notification.settle("receipt", ORDER_ID, outcome)
    notification.inbox.clear()
    await notification.consume(paid())
    assert intended(notification) == []
    assert fates(notification) == {"receipt": outcome.fate}
    found = kept(notification)
    assert (found.fate, found.why, found.payload) == (outcome.fate, outcome.why, intent.payload)


async def test_a_sent_mail_is_not_kept(notification: Harness) -> None:
    await notification.consume(paid())
    await notification.settle("receipt", ORDER_ID, SENT)
    assert notification.row(KeptMail, f"receipt:{ORDER_ID}") is None


async def test_an_undeliverable_mail_is_sent_again_on_request(notification: Harness) -> None:
    await notification.consume(paid())
    first = notification.intended[f"receipt:{ORDER_ID}"]
    await notification.settle("receipt", ORDER_ID, REJECTED)
    notification.now += timedelta(days=4)

    await notification.consume(resend("receipt"))

    [intent] = notification.intended.values()
    assert intent.key == first.key
    assert intent.payload["lines"] == first.payload["lines"]
    assert intent.payload["written_at"] == notification.now.isoformat()
    assert fates(notification) == {"receipt": "intended"}
    await notification.settle("receipt", ORDER_ID, SENT)
    assert fates(notification) == {"receipt": "sent"}
    assert kept(notification).fate == "sent"


async def test_a_resend_request_counts_once(notification: Harness) -> None:
    request = resend("receipt")
    await notification.consume(paid())
    await notification.settle("receipt", ORDER_ID, REJECTED)
    await notification.consume(request)
    await notification.settle("receipt", ORDER_ID, REJECTED)
    notification.inbox.clear()
    await notification.consume(request)
    assert intended(notification) == []
    await notification.consume(resend("receipt"))
    assert intended(notification) == ["receipt"]
    assert len(kept(notification).resends) == 2


async def test_only_undeliverable_mails_are_sent_again(notification: Harness) -> None:
    await notification.consume(paid(), resend("receipt"), resend("refund"))
    assert intended(notification) == ["receipt"]
    await notification.settle("receipt", ORDER_ID, SENT)
    await notification.consume(resend("receipt"))
    assert intended(notification) == []


async def test_two_resend_requests_in_a_row_send_one_mail(notification: Harness) -> None:
    await notification.consume(paid())
    await notification.settle("receipt", ORDER_ID, Outcome("in_doubt"))
    await notification.consume(resend("receipt"), resend("receipt"))
    await notification.settle("receipt", ORDER_ID, SENT)
    assert intended(notification) == []
    assert len(kept(notification).resends) == 1


async def test_a_guest_who_never_paid_gets_no_mail(notification: Harness) -> None:
    for event in [cancelled("payment_declined", guest=True)] * 2:
        await notification.consume(event)
        notification.inbox.clear()
    assert intended(notification) == []
    assert fates(notification) == {"cancellation": "withheld"}


@pytest.mark.parametrize("events", [*permutations([payment_voided(), cancelled(guest=True)])])
async def test_a_guest_whose_money_was_held_gets_the_cancellation_in_either_sequence(
    notification: Harness, events: tuple[PaymentVoided | OrderCancelled, ...]
) -> None:
    for event in [*events, *events]:
        await notification.consume(event)
        notification.inbox.clear()
    [intent] = notification.intended.values()
    assert intent.key == f"cancellation:{ORDER_ID}"
    assert intent.payload["contact"] == CONTACT
    await notification.settle("cancellation", ORDER_ID, SENT)
    await notification.consume(*events)
    assert intended(notification) == []
    assert fates(notification) == {"cancellation": "sent"}


async def test_a_withheld_mail_is_sent_when_a_refund_arrives(notification: Harness) -> None:
    await notification.consume(cancelled(guest=True), refunded())
    assert intended(notification) == ["cancellation", "refund"]


async def test_a_withheld_mail_mentions_a_capture_that_arrives_later(notification: Harness) -> None:
    await notification.consume(cancelled(guest=True), paid())
    assert notification.intended[f"cancellation:{ORDER_ID}"].payload["paid"] is True
    assert fates(notification)["receipt"] == "stopped"


async def test_a_withheld_mail_cannot_be_resent(notification: Harness) -> None:
    await notification.consume(cancelled(guest=True), resend("cancellation"))
    assert intended(notification) == []


@pytest.mark.parametrize("guest", [None, False])
async def test_shoppers_with_an_account_get_every_cancellation(
    notification: Harness, guest: bool | None
) -> None:
    await notification.consume(cancelled("payment_declined", guest=guest))
    assert intended(notification) == ["cancellation"]


async def test_without_a_contact_no_mail_is_sent_and_that_is_recorded(notification: Harness) -> None:
    await notification.consume(
        paid(contact=None), cancelled(contact=None), refunded(contact=None), user_registered(contact=None)
    )
    assert intended(notification) == []
    assert set(fates(notification).values()) == {"no_contact"}
    assert fates(notification, SHOPPER_ID) == {"welcome": "no_contact"}


@pytest.mark.parametrize("events", [*permutations([paid(), cancelled(was_paid=True), refunded()])])
async def test_cancellation_and_refund_are_mailed_once_in_any_sequence(
    notification: Harness, events: tuple[OrderPaid | OrderCancelled | PaymentRefunded, ...]
) -> None:
    await notification.consume(*events, *events)
    assert [kind for kind in intended(notification) if kind != "receipt"] == ["cancellation", "refund"]
    first = events[0].type
    assert ("receipt" in intended(notification)) == (first == "order.paid")


async def test_a_cancellation_mentions_a_capture_that_crossed_it(notification: Harness) -> None:
    await notification.consume(paid(), cancelled(was_paid=False))
    assert notification.intended[f"cancellation:{ORDER_ID}"].payload["paid"] is True


async def test_lines_out_of_stock_are_listed_by_name(notification: Harness) -> None:
    await notification.consume(out_of_stock())
    payload = notification.intended[f"cancellation:{ORDER_ID}"].payload
    assert payload["short"] == [{"name": "Mug <b>large</b>", "wanted": 2, "available": 1}]
    assert payload["reason"] == "out_of_stock"
    assert payload["paid"] is False
