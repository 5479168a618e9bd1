"""A payment that the shopper has to confirm with her bank: no money is held before she has confirmed."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts import (
    NOT_CONFIRMED,
    OrderCreated,
    PaymentActionRequired,
)
from contracts.testing import TOTAL
from payment.domain import Decision, Impossible, Payment
from payment.outcomes import ActionRequired, Authorized, Declined, Voided, conclude

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HELD = Authorized("pi_1", TOTAL)
ACTION_REQUIRED = ActionRequired("pi_1", "encrypted page", NOW + timedelta(minutes=10))
RETURN = "https://shop.example/back"


@pytest.fixture
def redirected(created: OrderCreated) -> OrderCreated:
    return created.model_copy(update={"return_url": RETURN, "deadline": NOW + timedelta(minutes=15)})


@pytest.fixture
def waiting(redirected: OrderCreated) -> Payment:
    """A payment that waits for its shopper."""
    payment = Payment(redirected.order_id)
    payment.authorize(redirected)
    conclude(payment, ACTION_REQUIRED, NOW)
    return payment


def types(decision: Decision) -> list[str]:
    return [event.type for event in decision.events]


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


def test_a_repeated_action_required_changes_nothing(waiting: Payment) -> None:
    assert conclude(waiting, ACTION_REQUIRED, NOW) == Decision()
    conclude(waiting, HELD, NOW)
    assert conclude(waiting, ACTION_REQUIRED, NOW) == conclude(waiting, HELD, NOW) == Decision()
    assert waiting.state == "authorized"
    with pytest.raises(Impossible):
        conclude(waiting, ActionRequired("pi_2", "page", NOW), NOW)
