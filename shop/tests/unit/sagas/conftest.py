"""One order, and what payment has of it, for tests of stuck sagas."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.testing import gbp, line, order_paid
from order import events as order_events
from order.domain import Order
from payment.domain import Payment
from payment.outcomes import Authorized, Captured, Refunded, RefundRefused, conclude

CREATED = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOTAL = gbp(500)
NOW = CREATED + timedelta(minutes=10)
THRESHOLD = timedelta(minutes=1)
ID = UUID(int=1)
LINES = (line("A", 2, 250),)


def new_order(status: str = "pending") -> Order:
    order = Order(
        order_id=ID,
        shopper_id=UUID(int=2),
        lines=LINES,
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=CREATED,
        deadline=CREATED + timedelta(minutes=15),
    )
    if status == "paid":
        order.pay(order_paid(order_id=ID, shopper_id=order.shopper_id, lines=LINES), CREATED)
    if status == "cancelled":
        order.cancel(CREATED)
    return order


def payment(*events: str) -> Payment:
    """Payment's state after so much of `reserved`, `captured`, `cancelled`, `refused`, `refunded`."""
    one = Payment(ID)
    one.authorize(order_events.created(new_order()))
    conclude(one, Authorized("pi_1", TOTAL), CREATED)
    for what in events:
        match what:
            case "captured":
                one.reserve()
                conclude(one, Captured(TOTAL), CREATED)
            case "cancelled":
                one.cancel()
            case "refused":
                conclude(one, RefundRefused("charge_disputed"), CREATED)
            case "refunded":
                conclude(one, Refunded(TOTAL), CREATED)
    return one
