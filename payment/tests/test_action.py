"""A shopper whose bank asks: nothing is held before she has confirmed, whatever else happens meanwhile."""

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
from payment.outcomes import ActionRequired, Authorized, Captured, Declined, Outcome, Voided
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
def asked(redirected: OrderCreated) -> Payment:
    """A payment that waits for its shopper."""
    payment = Payment(redirected.order_id)
    payment.authorize(redirected)
    payment.conclude(ASKED, NOW)
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


def said(saga: Harness) -> list[str]:
    return [event.type for event in saga.published]


async def test_the_shopper_is_asked_and_pays_once_she_has_confirmed(saga: Harness) -> None:
    [event] = saga.published
    assert isinstance(event, PaymentActionRequired)
    assert (event.payment_id, event.url, event.expires_at) == ("pi_1", ASKED.url, ASKED.expires_at)
    await saga.settle("confirm", event.order_id, HELD)
    await saga.settle("capture", event.order_id, Captured(TOTAL))
    assert said(saga) == ["payment.action_required", "payment.authorized", "order.paid"]


def test_nothing_is_taken_before_she_has_confirmed(asked: Payment) -> None:
    assert asked.reserve() == Decision()
    decision = asked.conclude(HELD, NOW)
    assert (types(decision), decision.call) == (["payment.authorized"], "capture")


def test_she_never_has_longer_than_the_orders_deadline(redirected: OrderCreated) -> None:
    payment = Payment(redirected.order_id)
    payment.authorize(redirected)
    [event] = payment.conclude(ActionRequired("pi_1", "page", NOW + timedelta(days=1)), NOW).events
    assert isinstance(event, PaymentActionRequired)
    assert event.expires_at == redirected.deadline


@pytest.mark.parametrize(
    "code", ["payment_intent_authentication_failure", "insufficient_funds", NOT_CONFIRMED]
)
def test_who_refuses_fails_or_comes_too_late_is_declined_and_cannot_confirm_later(
    asked: Payment, code: str
) -> None:
    decision = asked.conclude(Declined(code), NOW)
    assert (types(decision), decision.call) == (["payment.declined"], "void")
    assert asked.action_url is None
    assert asked.conclude(Voided(held=False), NOW) == Decision(), "nothing was held, so nothing is given back"
    assert asked.state == "declined"
    assert [event.type for event in asked.events_to_republish()] == ["payment.declined"]


async def test_an_order_cancelled_meanwhile_is_voided_and_nobody_hears_of_money_that_was_never_held(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    assert set(saga.intended) == {f"confirm:{cancelled.order_id}", f"void:{cancelled.order_id}"}
    await saga.settle("void", cancelled.order_id, Voided(held=False))
    await saga.settle("confirm", cancelled.order_id, Declined("canceled"))
    payment = saga.row(Payment, cancelled.order_id)
    assert payment is not None
    assert (payment.state, payment.events_to_republish()) == ("declined", ())
    assert said(saga) == ["payment.action_required"]


@pytest.mark.parametrize("first", ["confirm", "void"])
async def test_what_she_confirms_while_the_order_is_being_cancelled_goes_back(
    saga: Harness, cancelled: OrderCancelled, first: str
) -> None:
    await saga.consume(cancelled)
    outcomes: dict[str, Outcome] = {"confirm": HELD, "void": Voided(held=True)}
    for kind in sorted(outcomes, key=lambda kind: kind != first):
        await saga.settle(kind, cancelled.order_id, outcomes[kind])
    assert said(saga) == ["payment.action_required", "payment.voided"]


async def test_an_order_cancelled_before_the_bank_asks_asks_nobody(
    redirected: OrderCreated, cancelled: OrderCancelled
) -> None:
    saga = Harness(steps, intents=intents, now=NOW)
    await saga.consume(redirected, cancelled)
    await saga.settle("authorize", redirected.order_id, ASKED)
    assert saga.published == []
    assert set(saga.intended) == {f"void:{redirected.order_id}"}


def test_a_question_that_is_asked_twice_is_one(asked: Payment) -> None:
    assert asked.conclude(ASKED, NOW) == Decision()
    asked.conclude(HELD, NOW)
    assert asked.conclude(ASKED, NOW) == asked.conclude(HELD, NOW) == Decision()
    assert asked.state == "authorized"
    with pytest.raises(Impossible):
        asked.conclude(ActionRequired("pi_2", "page", NOW), NOW)


async def test_a_nudge_asks_again_for_as_long_as_she_is_waited_for(saga: Harness) -> None:
    [event] = saga.published
    nudge = SagaNudged(order_id=event.subject, nudge_id=event.subject)
    await saga.consume(nudge)
    assert saga.published == [event, event]
    await saga.settle("confirm", event.subject, HELD)
    saga.forget(nudge)
    await saga.consume(nudge)
    assert said(saga).count("payment.action_required") == 2
