"""Returns and refunds of an order: how much, when, and in whatever order the events arrive."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts import Line, Money, OrderCancelled, OrderReturned, PaymentRefundedInPart
from contracts.testing import order_paid, payment_disputed, payment_refund_failed, payment_refunded_in_part
from order import events, returning
from order.domain import Order
from order.errors import (
    CannotBeCancelled,
    Closed,
    Impossible,
    NotFulfilled,
    NotPaid,
    PeriodOver,
    TooMuch,
    Unknown,
)
from order.pricing import Wanted

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PERIOD = timedelta(days=30)
FIRST, SECOND, THIRD = (UUID(int=n) for n in (11, 12, 13))
LINES = (
    Line(sku="A", name="Red lantern", quantity=2, unit_price=250),
    Line(sku="B", name="Blue mug", quantity=1, unit_price=199),
)


def pending() -> Order:
    return Order(
        order_id=UUID(int=1),
        shopper_id=UUID(int=2),
        lines=LINES,
        total=699,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="encrypted",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
        number="K7Q2X-9XMDA",
    )


@pytest.fixture
def paid() -> Order:
    order = pending()
    order.pay(order_paid(order_id=order.order_id, shopper_id=order.shopper_id, lines=LINES), NOW)
    return order


@pytest.fixture
def fulfilled(paid: Order) -> Order:
    paid.fulfil(NOW)
    return paid


def request(order: Order, return_id: UUID = FIRST, within: timedelta | None = PERIOD, **wanted: int) -> Any:
    pieces = [Wanted(sku, quantity) for sku, quantity in wanted.items()]
    return returning.request(order, return_id, pieces, NOW, within)


def refund(order: Order, return_id: UUID = FIRST, amount: int | None = None, **wanted: int) -> Any:
    pieces = [Wanted(sku, quantity) for sku, quantity in wanted.items()]
    return returning.refund_by_staff(order, return_id, NOW, wanted=pieces, amount=amount, restock=False)


def refunded(amount: int, refund_id: UUID = FIRST, by: str = "return") -> PaymentRefundedInPart:
    return payment_refunded_in_part(
        order_id=UUID(int=1),
        refund_id=refund_id,
        amount=Money(amount=amount, currency="GBP"),
        by=by,
    )


def test_only_a_paid_order_is_fulfilled_and_once(paid: Order) -> None:
    assert [event.type for event in paid.fulfil(NOW)] == ["order.fulfilled"]
    assert paid.fulfil(NOW + PERIOD) == []
    assert paid.fulfilled_at == NOW
    for order in (pending(), cancelled()):
        with pytest.raises(NotPaid):
            order.fulfil(NOW)


def cancelled() -> Order:
    order = pending()
    order.cancel(NOW)
    return order


def test_a_fulfilled_order_is_returned_and_an_unfulfilled_one_cancelled(paid: Order) -> None:
    for order in (paid, pending()):
        with pytest.raises(NotFulfilled, match="cancel it instead"):
            request(order, A=1)
    with pytest.raises(NotPaid):
        request(cancelled(), A=1)
    paid.fulfil(NOW)
    with pytest.raises(CannotBeCancelled, match="request a return instead"):
        paid.cancel(NOW)
    assert paid.status == "paid"


def test_a_return_is_refunded_at_the_price_that_was_paid(fulfilled: Order) -> None:
    one = request(fulfilled, A=2, B=1)
    assert (one.state, one.amount) == ("requested", 699)
    assert [(line.sku, line.quantity, line.unit_price) for line in one.lines] == [
        ("A", 2, 250),
        ("B", 1, 199),
    ]
    assert not one.awaits()


def test_returns_never_exceed_what_was_bought(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    with pytest.raises(TooMuch) as refused:
        request(fulfilled, SECOND, A=2, B=1, C=1)
    assert refused.value.errors == [
        {"sku": "A", "detail": "At most 1 can be returned."},
        {"sku": "C", "detail": "None can be returned."},
    ]
    request(fulfilled, SECOND, A=1)
    with pytest.raises(TooMuch):
        request(fulfilled, THIRD, A=1)
    assert len(fulfilled.returns) == 2


def test_lines_that_are_named_twice_are_added_up(fulfilled: Order) -> None:
    with pytest.raises(TooMuch):
        returning.request(fulfilled, FIRST, [Wanted("A", 2), Wanted("A", 1)], NOW, PERIOD)


@pytest.mark.parametrize("state", ["rejected", "withdrawn"])
def test_a_withdrawn_return_can_be_requested_again(fulfilled: Order, state: Any) -> None:
    request(fulfilled, FIRST, A=2)
    assert returning.close(fulfilled, FIRST, state, "why")
    assert not returning.close(fulfilled, FIRST, state, "why")
    request(fulfilled, SECOND, A=2)
    with pytest.raises(Closed):
        returning.receive(fulfilled, FIRST, NOW)


def test_shoppers_have_a_period_and_staff_have_none(fulfilled: Order) -> None:
    late = NOW + PERIOD
    with pytest.raises(PeriodOver, match="for 30 days"):
        returning.request(fulfilled, FIRST, [Wanted("A", 1)], late, PERIOD)
    returning.request(fulfilled, FIRST, [Wanted("A", 1)], late - timedelta(seconds=1), PERIOD)
    returning.request(fulfilled, SECOND, [Wanted("A", 1)], late, None)


def test_receiving_publishes_once_what_to_restock_and_refund(fulfilled: Order) -> None:
    request(fulfilled, A=1)
    [published] = returning.receive(fulfilled, FIRST, NOW)
    assert isinstance(published, OrderReturned)
    assert (published.subject, published.about, published.by) == (FIRST, fulfilled.order_id, "return")
    assert [(line.sku, line.quantity) for line in published.lines] == [("A", 1)]
    assert published.amount == Money(amount=250, currency="GBP")
    assert returning.receive(fulfilled, FIRST, NOW + PERIOD) == []
    with pytest.raises(Closed):
        returning.close(fulfilled, FIRST, "withdrawn")
    with pytest.raises(Unknown):
        returning.receive(fulfilled, SECOND, NOW)


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_return_is_done_once_it_is_restocked_and_refunded(fulfilled: Order, refund_first: bool) -> None:
    request(fulfilled, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    assert events.missing_compensations(fulfilled, ()) == ["payment.refunded_in_part", "stock.returned"]
    assert fulfilled.returning_since == NOW
    for refund in (refund_first, not refund_first) * 2:
        if refund:
            returning.note_refund(fulfilled, refunded(250), NOW)
        else:
            returning.note_restock(fulfilled, FIRST, NOW)
    assert events.missing_compensations(fulfilled, ()) == []
    assert fulfilled.returning_since is None
    assert (fulfilled.refunded, fulfilled.left) == (250, 449)


def test_staff_refund_by_amount_by_lines_or_all_that_is_left(paid: Order) -> None:
    [published] = refund(paid, FIRST, amount=100)
    assert (published.lines, published.amount.amount, published.by) == ((), 100, "staff")
    [published] = refund(paid, SECOND, A=1)
    assert (published.lines, published.amount.amount) == ((), 250)
    [published] = refund(paid, THIRD)
    assert published.amount.amount == 349
    assert paid.left == 0
    with pytest.raises(TooMuch):
        refund(paid, UUID(int=14), amount=1)
    with pytest.raises(TooMuch, match="was refunded"):
        paid.fulfil(NOW)


def test_staff_can_restock_refunded_lines(paid: Order) -> None:
    [published] = returning.refund_by_staff(
        paid, FIRST, NOW, wanted=[Wanted("B", 1)], amount=None, restock=True
    )
    assert [line.sku for line in published.lines] == ["B"]
    assert events.missing_compensations(paid, ()) == ["payment.refunded_in_part", "stock.returned"]


def test_refunds_never_exceed_what_was_paid(fulfilled: Order) -> None:
    refund(fulfilled, FIRST, amount=600)
    one = request(fulfilled, SECOND, A=1)
    assert one.amount == 99
    with pytest.raises(TooMuch, match="0 minor units"):
        refund(fulfilled, THIRD, amount=1)
    [published] = returning.receive(fulfilled, SECOND, NOW)
    assert published.amount.amount == 99


def test_what_was_refunded_at_the_provider_meanwhile_is_not_refunded_again(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=2)
    returning.note_refund(fulfilled, refunded(600, SECOND, "provider"), NOW)
    returning.note_refund(fulfilled, refunded(600, SECOND, "provider"), NOW)
    [published] = returning.receive(fulfilled, FIRST, NOW)
    assert published.amount.amount == 99
    assert [one.by for one in fulfilled.returns] == ["return", "provider"]


def test_no_refund_is_missing_once_the_whole_total_was_refunded(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    returning.note_refund(fulfilled, refunded(699, SECOND, "provider"), NOW)
    assert events.missing_compensations(fulfilled, ()) == ["stock.returned"]
    returning.note_restock(fulfilled, FIRST, NOW)
    assert fulfilled.returning_since is None


def test_an_unfulfilled_order_can_be_cancelled_after_a_refund_in_part(paid: Order) -> None:
    refund(paid, amount=100)
    [published] = paid.cancel(NOW, by="staff")
    assert isinstance(published, OrderCancelled)
    assert (published.reason, published.cancelled_by) == ("shopper", "staff")
    assert paid.returning_since is None


def test_an_order_with_returned_lines_cannot_be_cancelled(paid: Order) -> None:
    refund(paid, A=1)
    with pytest.raises(CannotBeCancelled):
        paid.cancel(NOW)


def test_the_events_of_a_paid_order_are_republished(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    [published] = returning.receive(fulfilled, FIRST, NOW)
    request(fulfilled, SECOND, B=1)
    returning.note_refund(fulfilled, refunded(1, THIRD, "provider"), NOW)
    assert events.to_republish(fulfilled, NOW)[1:] == [published]
    assert [event.type for event in events.to_republish(fulfilled, NOW)] == [
        "order.fulfilled",
        "order.returned",
    ]


@pytest.mark.parametrize(
    "event",
    [
        lambda order: returning.note_restock(order, SECOND, NOW),
        lambda order: returning.note_restock(order, FIRST, NOW),
        lambda order: returning.note_refund(order, refunded(250, SECOND), NOW),
        lambda order: returning.note_refund(order, refunded(249, THIRD), NOW),
        lambda order: returning.note_refund(
            order,
            refunded(1, by="provider").model_copy(update={"amount": Money(amount=1, currency="EUR")}),
            NOW,
        ),
    ],
)
def test_events_about_an_unknown_return_are_impossible(fulfilled: Order, event: Any) -> None:
    request(fulfilled, FIRST, A=1)
    request(fulfilled, THIRD, A=1)
    returning.receive(fulfilled, THIRD, NOW)
    with pytest.raises(Impossible):
        event(fulfilled)


def test_a_new_return_is_nudged_from_the_start(fulfilled: Order) -> None:
    fulfilled.nudges, fulfilled.nudge_at = 5, NOW
    request(fulfilled, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    assert fulfilled.count_nudge(NOW, PERIOD, limit=1)


@pytest.mark.parametrize(("status", "since"), [("needs_response", NOW), ("won", NOW), ("lost", None)])
def test_money_lost_in_a_dispute_is_not_refunded(paid: Order, status: str, since: datetime | None) -> None:
    refund(paid, amount=100)
    disputed = payment_disputed(
        order_id=paid.order_id,
        dispute_id=UUID(int=7),
        amount=Money(amount=699, currency="GBP"),
        reason="fraudulent",
        status=status,
        noted_at=NOW,
    )
    returning.note_dispute(paid, disputed)
    assert paid.returning_since == since


def came_back(order: Order) -> None:
    """What went back by the first refund is with the shop again."""
    money = Money(amount=250, currency="GBP")
    failed = payment_refund_failed(order_id=order.order_id, refund_id=FIRST, amount=money, code="lost_card")
    returning.note_refund(order, refunded(250), NOW)
    returning.note_failed_refund(order, failed, NOW)


def test_a_settled_refund_is_published_once_and_republished(paid: Order) -> None:
    refund(paid, FIRST, amount=250)
    came_back(paid)
    assert paid.refunded == 0
    [published] = returning.settle(paid, FIRST, NOW)
    assert (published.subject, published.amount, paid.refunded) == (
        FIRST,
        Money(amount=250, currency="GBP"),
        250,
    )
    assert returning.settle(paid, FIRST, NOW) == []
    assert published in events.to_republish(paid, NOW)
    with pytest.raises(CannotBeCancelled, match="ask staff to refund the rest"):
        paid.cancel(NOW)


def test_a_failed_refund_of_a_cancelled_order_can_be_settled(paid: Order) -> None:
    paid.cancel(NOW)
    paid.note_refund(699, NOW)
    failed = payment_refund_failed(
        order_id=paid.order_id,
        refund_id=SECOND,
        amount=Money(amount=699, currency="GBP"),
        code="lost_card",
    )
    returning.note_failed_refund(paid, failed, NOW)
    returning.settle(paid, SECOND, NOW)
    assert [event.type for event in events.to_republish(paid, NOW)] == [
        "order.cancelled",
        "order.refund_settled",
    ]
    assert paid.refunded == 699
