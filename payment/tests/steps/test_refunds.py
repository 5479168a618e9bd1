"""Partial refunds: each is made once, and never more in all than was captured."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.testing import Harness
from contracts import (
    Money,
    OrderCancelled,
    OrderCreated,
    OrderReturned,
    PaymentRefundedInPart,
    StockReserved,
)
from contracts.testing import CONTACT, ORDER_ID, TOTAL, gbp, order_returned, saga_nudged
from payment.domain import REFUND_RETRY_AFTER, Impossible, Payment
from payment.outcomes import Authorized, Captured, PartRefunded, Refunded, RefundRefused
from payment.refunds import MORE_THAN_IS_LEFT, Refund
from payment.saga import intents, steps

FIRST, SECOND = UUID(int=1), UUID(int=2)


def returned(amount: int, return_id: UUID = FIRST, by: str = "return") -> OrderReturned:
    return order_returned(return_id=return_id, lines=(), amount=gbp(amount), by=by)


@pytest.fixture
async def saga(created: OrderCreated, reserved: StockReserved) -> Harness:
    """Of an order that was paid."""
    saga = Harness(steps, intents=intents)
    await saga.consume(created, reserved)
    await saga.settle("authorize", ORDER_ID, Authorized("pi_1", TOTAL))
    await saga.settle("capture", ORDER_ID, Captured(TOTAL))
    saga.published.clear()
    return saga


def refund(saga: Harness, refund_id: UUID = FIRST) -> Refund:
    found = saga.row(Refund, refund_id)
    assert found is not None
    return found


def payment(saga: Harness) -> Payment:
    found = saga.row(Payment, ORDER_ID)
    assert found is not None
    return found


def published_amounts(saga: Harness) -> list[tuple[str, int]]:
    return [(event.type, (getattr(event, "amount", None) or event.total).amount) for event in saga.published]  # type: ignore[attr-defined]


async def test_a_part_is_refunded_once_under_its_own_key(saga: Harness) -> None:
    await saga.consume(returned(500))
    saga.forget(returned(500))
    await saga.consume(returned(500))
    [intent] = saga.intended.values()
    assert intent.key == f"refund_part:{FIRST}"
    assert intent.payload["form"] == {
        "payment_intent": "pi_1",
        "amount": 500,
        "metadata": {"order_id": str(ORDER_ID), "refund_id": str(FIRST)},
    }
    await saga.settle("refund_part", FIRST, PartRefunded(gbp(500)))
    [event] = saga.published
    assert isinstance(event, PaymentRefundedInPart)
    assert event.model_dump(exclude={"number"}) == {
        "order_id": ORDER_ID,
        "refund_id": FIRST,
        "payment_id": "pi_1",
        "amount": {"amount": 500, "currency": "GBP"},
        "by": "return",
        "contact": CONTACT,
    }
    assert (refund(saga).state, payment(saga).left, payment(saga).state) == ("refunded", 1500, "captured")
    saga.forget(returned(500))
    await saga.consume(returned(500))
    assert not saga.intended


async def test_a_refund_of_nothing_needs_no_call(saga: Harness) -> None:
    await saga.consume(returned(0))
    assert not saga.intended
    assert refund(saga).state == "covered"


async def test_a_part_larger_than_what_is_left_is_refused_without_a_call(saga: Harness) -> None:
    await saga.consume(returned(1500), returned(501, SECOND))
    assert list(saga.intended) == [f"refund_part:{FIRST}"]
    assert (refund(saga, SECOND).state, refund(saga, SECOND).code) == ("refund_failed", MORE_THAN_IS_LEFT)


async def test_a_refused_part_is_retried_when_enough_is_left(saga: Harness) -> None:
    await saga.consume(returned(1500))
    await saga.settle("refund_part", FIRST, RefundRefused("balance_insufficient"))
    assert (refund(saga).state, refund(saga).refused, refund(saga).code) == (
        "refund_failed",
        1,
        "balance_insufficient",
    )
    assert payment(saga).left == 2000
    await saga.consume(returned(600, SECOND))
    saga.now += REFUND_RETRY_AFTER
    await saga.consume(saga_nudged(nudge_id=UUID(int=8)))
    assert list(saga.intended) == [f"refund_part:{SECOND}"]
    await saga.settle("refund_part", SECOND, RefundRefused("balance_insufficient"))
    saga.now += REFUND_RETRY_AFTER
    await saga.consume(saga_nudged(nudge_id=UUID(int=9)))
    assert sorted(saga.intended) == [f"refund_part:{FIRST}"]


async def test_a_nudge_republishes_partial_refunds(saga: Harness) -> None:
    await saga.consume(returned(500))
    await saga.settle("refund_part", FIRST, PartRefunded(gbp(500)))
    before = saga.published[-1]
    await saga.consume(saga_nudged(nudge_id=UUID(int=9)))
    assert saga.published[-1] == before
    assert [event.type for event in saga.published[1:]] == ["order.paid", "payment.refunded_in_part"]


async def test_a_cancelled_orders_rest_is_refunded_once_the_outcomes_of_parts_are_known(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(returned(500), cancelled)
    assert list(saga.intended) == [f"refund_part:{FIRST}"]
    assert payment(saga).state == "refunding"
    await saga.settle("refund_part", FIRST, PartRefunded(gbp(500)))
    assert list(saga.intended) == [f"refund:{ORDER_ID}"]
    await saga.settle("refund", ORDER_ID, Refunded(gbp(1500)))
    assert published_amounts(saga) == [("payment.refunded_in_part", 500), ("payment.refunded", 1500)]
    assert saga.published[-1].before == gbp(500)  # type: ignore[attr-defined]


async def test_a_cancelled_order_is_refunded_fully_when_its_part_was_refused(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(returned(500), cancelled)
    await saga.settle("refund_part", FIRST, RefundRefused("balance_insufficient"))
    assert refund(saga).state == "covered"
    await saga.settle("refund", ORDER_ID, Refunded(gbp(2000)))
    assert published_amounts(saga) == [("payment.refunded", 2000)]


async def test_a_cancelled_order_refunded_in_parts_needs_no_refund(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(returned(2000))
    await saga.settle("refund_part", FIRST, PartRefunded(gbp(2000)))
    await saga.consume(cancelled)
    assert not saga.intended
    assert published_amounts(saga) == [("payment.refunded_in_part", 2000), ("payment.refunded", 0)]


async def test_a_return_after_the_cancellation_is_covered(saga: Harness, cancelled: OrderCancelled) -> None:
    await saga.consume(cancelled, returned(500))
    assert list(saga.intended) == [f"refund:{ORDER_ID}"]
    assert refund(saga).state == "covered"


async def test_a_refused_part_is_covered_by_a_cancellation(saga: Harness, cancelled: OrderCancelled) -> None:
    await saga.consume(returned(500))
    await saga.settle("refund_part", FIRST, RefundRefused("balance_insufficient"))
    await saga.consume(cancelled)
    assert refund(saga).state == "covered"
    assert list(saga.intended) == [f"refund:{ORDER_ID}"]


async def test_a_part_for_which_the_provider_has_nothing_left_is_covered(saga: Harness) -> None:
    await saga.consume(returned(500))
    await saga.settle("refund_part", FIRST, RefundRefused("charge_already_refunded"))
    assert (refund(saga).state, refund(saga).code) == ("covered", "charge_already_refunded")


@pytest.mark.parametrize("amount", [gbp(499), None])
async def test_a_part_refunded_with_another_amount_fails_and_is_not_retried(
    saga: Harness, amount: Money | None
) -> None:
    await saga.consume(returned(500))
    await saga.settle("refund_part", FIRST, PartRefunded(amount))
    assert (refund(saga).state, refund(saga).code) == ("refund_failed", "amount_mismatch")
    assert refund(saga).refund_at is None
    assert not saga.published
    saga.now += timedelta(days=9)
    await saga.consume(saga_nudged(nudge_id=UUID(int=9)))
    assert not saga.intended


async def test_a_return_of_an_unpaid_order_is_impossible(created: OrderCreated) -> None:
    saga = Harness(steps, intents=intents)
    with pytest.raises(Impossible):
        await saga.consume(returned(500))
    await saga.consume(created)
    with pytest.raises(Impossible, match="while authorizing"):
        await saga.consume(returned(500))
    assert saga.row(Refund, FIRST) is None


async def test_a_second_outcome_of_a_refund_is_impossible(saga: Harness) -> None:
    await saga.consume(returned(500))
    [intent] = saga.intended.values()
    await saga.settle("refund_part", FIRST, PartRefunded(gbp(500)))

    async def settle(outcome: Any) -> None:
        saga.intended[intent.key] = intent
        await saga.settle("refund_part", FIRST, outcome)

    await settle(PartRefunded(gbp(500)))
    assert len(saga.published) == 1
    with pytest.raises(Impossible):
        await settle(RefundRefused("late"))
