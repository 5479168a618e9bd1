"""A payment that the shopper has to confirm with her bank: no money is held before she has confirmed."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.testing import Harness
from contracts import (
    OrderCancelled,
    OrderCreated,
    PaymentActionRequired,
    StockReserved,
)
from contracts.testing import TOTAL, saga_nudged
from payment.domain import Payment
from payment.outcomes import ActionRequired, Authorized, Captured, Declined, Outcome, Voided
from payment.saga import intents, steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD = Authorized("pi_1", TOTAL)
ACTION_REQUIRED = ActionRequired("pi_1", "encrypted page", NOW + timedelta(minutes=10))
RETURN = "https://shop.example/back"


@pytest.fixture
def redirected(created: OrderCreated) -> OrderCreated:
    return created.model_copy(update={"return_url": RETURN, "deadline": NOW + timedelta(minutes=15)})


@pytest.fixture
async def saga(redirected: OrderCreated, reserved: StockReserved) -> Harness:
    """The same, with its stock reserved."""
    saga = Harness(steps, intents=intents, now=NOW)
    await saga.consume(redirected, reserved)
    await saga.settle("authorize", redirected.order_id, ACTION_REQUIRED)
    return saga


def published_types(saga: Harness) -> list[str]:
    return [event.type for event in saga.published]


async def test_a_payment_waits_for_the_shoppers_confirmation_and_is_then_captured(saga: Harness) -> None:
    [event] = saga.published
    assert isinstance(event, PaymentActionRequired)
    assert (event.payment_id, event.url, event.expires_at) == (
        "pi_1",
        ACTION_REQUIRED.url,
        ACTION_REQUIRED.expires_at,
    )
    await saga.settle("confirm", event.order_id, HELD)
    await saga.settle("capture", event.order_id, Captured(TOTAL))
    assert published_types(saga) == ["payment.action_required", "payment.authorized", "order.paid"]


async def test_a_cancelled_order_that_waits_for_confirmation_is_voided_without_an_event(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    assert set(saga.intended) == {f"confirm:{cancelled.order_id}", f"void:{cancelled.order_id}"}
    await saga.settle("void", cancelled.order_id, Voided(held=False))
    await saga.settle("confirm", cancelled.order_id, Declined("canceled"))
    payment = saga.row(Payment, cancelled.order_id)
    assert payment is not None
    assert (payment.state, payment.events_to_republish()) == ("declined", ())
    assert published_types(saga) == ["payment.action_required"]


@pytest.mark.parametrize("first", ["confirm", "void"])
async def test_a_confirmation_during_the_cancellation_is_voided(
    saga: Harness, cancelled: OrderCancelled, first: str
) -> None:
    await saga.consume(cancelled)
    outcomes: dict[str, Outcome] = {"confirm": HELD, "void": Voided(held=True)}
    for kind in sorted(outcomes, key=lambda kind: kind != first):
        await saga.settle(kind, cancelled.order_id, outcomes[kind])
    assert published_types(saga) == ["payment.action_required", "payment.voided"]


async def test_an_order_cancelled_before_the_bank_asks_publishes_no_action_required(
    redirected: OrderCreated, cancelled: OrderCancelled
) -> None:
    saga = Harness(steps, intents=intents, now=NOW)
    await saga.consume(redirected, cancelled)
    await saga.settle("authorize", redirected.order_id, ACTION_REQUIRED)
    assert saga.published == []
    assert set(saga.intended) == {f"void:{redirected.order_id}"}


async def test_a_nudge_republishes_action_required_while_the_confirmation_is_pending(saga: Harness) -> None:
    [event] = saga.published
    nudge = saga_nudged()
    await saga.consume(nudge)
    assert saga.published == [event, event]
    await saga.settle("confirm", event.subject, HELD)
    saga.forget(nudge)
    await saga.consume(nudge)
    assert published_types(saga).count("payment.action_required") == 2
