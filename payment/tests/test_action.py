"""A payment that the shopper has to confirm with her bank: no money is held before she has confirmed."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.testing import Harness
from contracts import (
    NOT_CONFIRMED,
    Money,
    OrderCancelled,
    OrderCreated,
    PaymentActionRequired,
    SagaNudged,
    StockReserved,
)
from payment.domain import Decision, Impossible, Payment
from payment.outcomes import ActionRequired, Authorized, Captured, Declined, Outcome, Voided, conclude
from payment.saga import intents, steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOTAL = Money(amount=2000, currency="GBP")
HELD = Authorized("pi_1", TOTAL)
ASKED = ActionRequired("pi_1", "sealed page", NOW + timedelta(minutes=10))
RETURN = "https://shop.example/back"


@pytest.fixture
def redirected(created: OrderCreated) -> OrderCreated:
    return created.model_copy(update={"return_url": RETURN, "deadline": NOW + timedelta(minutes=15)})


@pytest.fixture
def waiting(redirected: OrderCreated) -> Payment:
    """A payment that waits for its shopper."""
    payment = Payment(redirected.order_id)
    payment.authorize(redirected)
    conclude(payment, ASKED, NOW)
    return payment


@pytest.fixture
async def saga(redirected: OrderCreated, reserved: StockReserved) -> Harness:
    """The same, with its stock reserved."""
    saga = Harness(steps, intents=intents, now=NOW)
    await saga.consume(redirected, reserved)
    await saga.settle("authorize", redirected.order_id, ASKED)
    return saga


def types(decision: Decision) -> list[str]:
    return [event.type for event in decision.events]


def published_types(saga: Harness) -> list[str]:
    return [event.type for event in saga.published]


async def test_a_payment_waits_for_the_shoppers_confirmation_and_is_then_captured(saga: Harness) -> None:
    [event] = saga.published
    assert isinstance(event, PaymentActionRequired)
    assert (event.payment_id, event.url, event.expires_at) == ("pi_1", ASKED.url, ASKED.expires_at)
    await saga.settle("confirm", event.order_id, HELD)
    await saga.settle("capture", event.order_id, Captured(TOTAL))
    assert published_types(saga) == ["payment.action_required", "payment.authorized", "order.paid"]


def test_nothing_is_captured_before_the_shopper_has_confirmed(waiting: Payment) -> None:
    assert waiting.reserve() == Decision()
    decision = conclude(waiting, HELD, NOW)
    assert (types(decision), decision.call) == (["payment.authorized"], "capture")


def test_the_confirmation_expires_at_the_orders_deadline_at_the_latest(redirected: OrderCreated) -> None:
    payment = Payment(redirected.order_id)
    payment.authorize(redirected)
    [event] = conclude(payment, ActionRequired("pi_1", "page", NOW + timedelta(days=1)), NOW).events
    assert isinstance(event, PaymentActionRequired)
    assert event.expires_at == redirected.deadline


@pytest.mark.parametrize(
    "code", ["payment_intent_authentication_failure", "insufficient_funds", NOT_CONFIRMED]
)
def test_a_refused_failed_or_late_confirmation_declines_and_voids(waiting: Payment, code: str) -> None:
    decision = conclude(waiting, Declined(code), NOW)
    assert (types(decision), decision.call) == (["payment.declined"], "void")
    assert waiting.action_url is None
    assert conclude(waiting, Voided(held=False), NOW) == Decision(), (
        "no money was held, so payment.voided is not published"
    )
    assert waiting.state == "declined"
    assert [event.type for event in waiting.events_to_republish()] == ["payment.declined"]


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
    await saga.settle("authorize", redirected.order_id, ASKED)
    assert saga.published == []
    assert set(saga.intended) == {f"void:{redirected.order_id}"}


def test_a_repeated_action_required_changes_nothing(waiting: Payment) -> None:
    assert conclude(waiting, ASKED, NOW) == Decision()
    conclude(waiting, HELD, NOW)
    assert conclude(waiting, ASKED, NOW) == conclude(waiting, HELD, NOW) == Decision()
    assert waiting.state == "authorized"
    with pytest.raises(Impossible):
        conclude(waiting, ActionRequired("pi_2", "page", NOW), NOW)


async def test_a_nudge_republishes_action_required_while_the_confirmation_is_pending(saga: Harness) -> None:
    [event] = saga.published
    nudge = SagaNudged(order_id=event.subject, nudge_id=event.subject)
    await saga.consume(nudge)
    assert saga.published == [event, event]
    await saga.settle("confirm", event.subject, HELD)
    saga.forget(nudge)
    await saga.consume(nudge)
    assert published_types(saga).count("payment.action_required") == 2
