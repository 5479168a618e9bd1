"""Payment's steps: the calls they intend, and the events published on their outcomes."""

from datetime import timedelta

import pytest

from chassis.testing import Harness
from contracts import OrderCancelled, OrderCreated, OrderPaid, StockReserved
from contracts.order import LONG_OVER
from contracts.testing import TOTAL, order_anonymised, saga_nudged
from payment.domain import Payment
from payment.outcomes import Authorized, Captured, Declined, Refunded, RefundRefused, Voided
from payment.saga import intents, steps


@pytest.fixture
def saga() -> Harness:
    return Harness(steps, intents=intents)


def published_types(saga: Harness) -> list[str]:
    return [event.type for event in saga.published]


async def test_an_order_in_stock_is_paid(
    saga: Harness, created: OrderCreated, reserved: StockReserved
) -> None:
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))

    assert published_types(saga) == ["payment.authorized", "order.paid"]
    paid = saga.published[1]
    assert isinstance(paid, OrderPaid)
    assert paid.model_dump() == {
        **created.model_dump(exclude={"payment_method", "deadline", "return_url"}),
        "payment_id": "pi_1",
    }
    assert not saga.intended


async def test_an_anonymised_order_keeps_its_payment_and_no_address(
    saga: Harness, created: OrderCreated, reserved: StockReserved
) -> None:
    anonymised = order_anonymised(order_id=created.order_id)
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))

    await saga.consume(anonymised, anonymised, saga_nudged(order_id=created.order_id))

    payment = saga.row(Payment, created.order_id)
    assert payment is not None
    assert payment.order is not None
    assert (payment.state, payment.order.total) == ("captured", TOTAL)
    assert (payment.order.contact, payment.order.shipping, payment.order.return_url) == (None, None, None)
    again = saga.published[-1]
    assert isinstance(again, OrderPaid)
    assert again.contact is None


async def test_a_payment_that_was_forgotten_is_not_anonymised(saga: Harness, created: OrderCreated) -> None:
    await saga.consume(order_anonymised(order_id=created.order_id))
    assert saga.row(Payment, created.order_id) is None


async def test_the_money_is_not_captured_before_the_stock_is_reserved(
    saga: Harness, created: OrderCreated
) -> None:
    await saga.consume(created)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))

    assert not saga.intended


async def test_a_cancelled_order_is_never_charged(
    saga: Harness, created: OrderCreated, reserved: StockReserved, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled, reserved, created)

    assert not saga.intended
    assert not saga.published


async def test_a_cancelled_orders_authorization_is_voided(
    saga: Harness, created: OrderCreated, cancelled: OrderCancelled
) -> None:
    await saga.consume(created, cancelled)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("void", created.order_id, Voided())

    assert published_types(saga) == ["payment.authorized", "payment.voided"]


async def test_a_cancelled_orders_capture_is_refunded(
    saga: Harness, created: OrderCreated, reserved: StockReserved, cancelled: OrderCancelled
) -> None:
    await saga.consume(reserved, created)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))
    await saga.consume(cancelled)
    await saga.settle("refund", created.order_id, Refunded(TOTAL))

    assert published_types(saga) == ["payment.authorized", "order.paid", "payment.refunded"]


async def test_a_refund_that_is_refused_is_never_lost(
    saga: Harness, created: OrderCreated, reserved: StockReserved, cancelled: OrderCancelled
) -> None:
    await saga.consume(reserved, created)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))
    await saga.consume(cancelled)
    await saga.settle("refund", created.order_id, RefundRefused("charge_disputed"))

    payment = saga.row(Payment, created.order_id)
    assert payment is not None
    assert (payment.state, payment.refunds_refused) == ("refund_failed", 1)


async def test_a_declined_card_is_published(saga: Harness, created: OrderCreated) -> None:
    await saga.consume(created)
    await saga.settle("authorize", created.order_id, Declined("insufficient_funds"))

    assert published_types(saga) == ["payment.declined"]


async def test_an_order_old_enough_to_be_pruned_is_never_charged_again(
    saga: Harness, created: OrderCreated, reserved: StockReserved
) -> None:
    """A dead letter that is replayed after a year, when the payment that it led to has been pruned."""
    saga.now = created.deadline + LONG_OVER + timedelta(seconds=1)
    await saga.consume(created, reserved)
    assert (list(saga.intended), published_types(saga)) == ([], [])

    payment = saga.row(Payment, created.order_id)
    assert payment is not None
    assert payment.state == "refused"


async def test_a_repeat_changes_nothing(
    saga: Harness, created: OrderCreated, reserved: StockReserved
) -> None:
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    saga.inbox.clear()
    await saga.consume(created, reserved)

    assert list(saga.intended) == [f"capture:{created.order_id}"]
    assert published_types(saga) == ["payment.authorized"]


async def test_a_call_is_stored_as_it_is_made(saga: Harness, created: OrderCreated) -> None:
    await saga.consume(created)

    order = str(created.order_id)
    assert saga.intended[f"authorize:{order}"].payload == {
        "path": "/v1/payment_intents",
        "form": {
            "amount": 2000,
            "currency": "gbp",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "error_on_requires_action": True,
            "capture_method": "manual",
            "confirm": True,
            "metadata": {"order_id": order},
        },
        "key_expires": "2026-01-01T23:00:00+00:00",
    }


async def test_a_nudge_republishes_the_payments_events(
    saga: Harness, created: OrderCreated, reserved: StockReserved
) -> None:
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))
    paid = saga.published[-1]
    for _ in range(2):
        await saga.consume(saga_nudged())
    assert saga.published[2:] == [paid, paid]
    assert not saga.intended


async def test_a_nudge_retries_a_refund_refused_a_day_ago(
    saga: Harness, created: OrderCreated, reserved: StockReserved, cancelled: OrderCancelled
) -> None:
    await saga.consume(created, reserved)
    await saga.settle("authorize", created.order_id, Authorized("pi_1", TOTAL))
    await saga.settle("capture", created.order_id, Captured(TOTAL))
    await saga.consume(cancelled)
    await saga.settle("refund", created.order_id, RefundRefused("balance_insufficient"))

    await saga.consume(saga_nudged())
    assert not saga.intended, "the provider would only repeat its answer"
    saga.now += timedelta(hours=26)
    await saga.consume(saga_nudged())
    assert list(saga.intended) == [f"refund:{created.order_id}"]


async def test_a_nudge_of_an_unknown_order_does_nothing(saga: Harness, created: OrderCreated) -> None:
    await saga.consume(saga_nudged())
    assert (saga.published, saga.rows) == ([], {})
