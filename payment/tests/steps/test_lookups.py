"""Changes at the provider are looked up, compared and published once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from chassis.testing import Harness
from contracts import (
    Money,
    OrderCancelled,
    OrderCreated,
    PaymentDisputed,
    PaymentRefunded,
    StockReserved,
)
from contracts.testing import TOTAL, order_returned, saga_nudged
from payment import stripe_requests
from payment.disputes import Dispute
from payment.domain import Payment
from payment.lookups import Found, FoundDispute
from payment.outcomes import Authorized, Captured, Refunded, RefundRefused
from payment.saga import intents, steps

KEY = "sk_test_payment"
NOW = datetime.now(UTC)
NOTHING = Money(amount=0, currency="GBP")


@pytest.fixture
async def saga(created: OrderCreated, reserved: StockReserved) -> Harness:
    """Payment, with one order paid."""
    saga = Harness(steps, intents=intents)
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))
    saga.published.clear()
    return saga


async def receive_news(saga: Harness, order: OrderCreated) -> None:
    """A webhook about the order's payment was received."""

    async def intend_lookup(tx: Any) -> None:
        payment = await tx.get(Payment, order.order_id)
        decision = payment.look_up()
        tx.intend(stripe_requests.call_intent(decision.call, payment, tx.now))

    await saga.run(intend_lookup)


def found(**more: Any) -> Found:
    return Found(**{"payment_id": "pi_1", "status": "succeeded", "held": NOTHING, "taken": TOTAL, **more})


def dispute(status: str = "needs_response") -> FoundDispute:
    return FoundDispute("dp_1", "pi_1", TOTAL, "fraudulent", status, NOW)


async def test_a_dispute_is_published_once_for_each_status(saga: Harness, created: OrderCreated) -> None:
    for status in ("needs_response", "needs_response", "lost"):
        await receive_news(saga, created)
        await saga.settle("look", created.order_id, found(disputes=(dispute(status),)))

    events = [event for event in saga.published if isinstance(event, PaymentDisputed)]
    assert [(event.status, event.amount, event.reason) for event in events] == [
        ("needs_response", TOTAL, "fraudulent"),
        ("lost", TOTAL, "fraudulent"),
    ]
    assert len({event.subject for event in events}) == 2
    (row,) = [row for row in saga.rows.values() if isinstance(row, Dispute)]
    assert (row.provider_id, row.status, row.order_id) == ("dp_1", "lost", created.order_id)


async def test_a_later_status_has_a_later_noted_at_whatever_the_clock_says(
    saga: Harness, created: OrderCreated
) -> None:
    """Another copy of the service notes it, and its clock is behind."""
    for status in ("needs_response", "won"):
        await receive_news(saga, created)
        await saga.settle("look", created.order_id, found(disputes=(dispute(status),)))
        saga.now -= timedelta(seconds=1)

    first, second = (event.noted_at for event in saga.published if isinstance(event, PaymentDisputed))
    assert first < second


@pytest.fixture
async def refused(saga: Harness, created: OrderCreated, cancelled: OrderCancelled) -> Harness:
    """The order was cancelled, and the provider refunds nothing of what is disputed."""
    await saga.consume(cancelled)
    await saga.settle("refund", created.order_id, RefundRefused("charge_disputed"))
    return saga


async def nudge(saga: Harness, created: OrderCreated) -> None:
    await saga.consume(saga_nudged())


async def test_a_refund_refused_for_a_dispute_leads_to_a_lookup(
    refused: Harness, created: OrderCreated
) -> None:
    assert list(refused.intended) == [f"look:{created.order_id}"]
    await refused.settle("look", created.order_id, found(disputes=(dispute(),)))
    assert [event.type for event in refused.published] == ["payment.disputed"]
    await nudge(refused, created)
    assert not refused.intended, "it would be refused again"


async def test_a_won_dispute_makes_the_refund_due_however_often_it_was_refused(
    refused: Harness, created: OrderCreated
) -> None:
    row = refused.row(Payment, created.order_id)
    assert row is not None
    row.refunds_refused = 5
    await refused.settle("look", created.order_id, found(disputes=(dispute("won"),)))
    row = refused.row(Payment, created.order_id)
    assert row is not None
    assert (row.refunds_refused, row.refund_at) == (0, refused.now)
    await nudge(refused, created)
    assert list(refused.intended) == [f"refund:{created.order_id}"]


async def test_a_lost_disputes_amount_is_not_refunded(refused: Harness, created: OrderCreated) -> None:
    await refused.settle("look", created.order_id, found(disputes=(dispute("lost"),)))
    await nudge(refused, created)
    (events,) = [event for event in refused.published if isinstance(event, PaymentRefunded)]
    assert (events.total.amount, events.before) == (0, TOTAL)
    assert not refused.intended


async def test_a_cancelled_order_whose_money_was_lost_is_not_refunded(
    saga: Harness, created: OrderCreated, cancelled: OrderCancelled
) -> None:
    await receive_news(saga, created)
    await saga.settle("look", created.order_id, found(disputes=(dispute("lost"),)))
    part = order_returned(lines=(), amount=TOTAL, by="staff")
    await saga.consume(part, cancelled)
    assert not saga.intended
    assert [event.type for event in saga.published] == ["payment.disputed", "payment.refunded"]


async def test_news_during_a_lookup_leads_to_another_lookup(saga: Harness, created: OrderCreated) -> None:
    await receive_news(saga, created)
    await receive_news(saga, created)
    await saga.settle("look", created.order_id, found())
    assert [intent.payload["news"] for intent in saga.intended.values()] == [2]

    await saga.settle("look", created.order_id, found(disputes=(dispute(),)))
    assert not saga.intended
    assert [event.type for event in saga.published] == ["payment.disputed"]


async def test_a_lookup_at_a_pruned_payment_is_no_error(saga: Harness, created: OrderCreated) -> None:
    await receive_news(saga, created)
    saga.rows.clear()

    await saga.settle("look", created.order_id, found(disputes=(dispute(),)))
    assert not saga.published


@pytest.mark.parametrize("is_on", [True, False])
async def test_money_captured_at_the_provider_pays_the_order_or_is_refunded(
    is_on: bool, created: OrderCreated, reserved: StockReserved, cancelled: OrderCancelled
) -> None:
    saga = Harness(steps, intents=intents)
    await saga.consume(created)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await receive_news(saga, created)
    saga.published.clear()

    with capture_logs() as logs:
        await saga.settle("look", created.order_id, found())
    assert [one["event"] for one in logs] == ["payment captured at the provider"]
    assert (saga.published, [*saga.intended]) == ([], []), "the order has not ended"

    await saga.consume(reserved if is_on else cancelled)
    await saga.settle("capture" if is_on else "void", created.order_id, Captured(TOTAL))
    if not is_on:
        await saga.settle("refund", created.order_id, Refunded(TOTAL))
    assert [event.type for event in saga.published] == ["order.paid" if is_on else "payment.refunded"]
