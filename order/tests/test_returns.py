"""What goes back of an order: how much, when, and whatever the others say of it in whatever order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts import (
    Line,
    Money,
    OrderCancelled,
    OrderPaid,
    OrderReturned,
    PaymentDisputed,
    PaymentRefundedInPart,
    PaymentRefundFailed,
)
from order import returning
from order.domain import Impossible, Order
from order.returns import Closed, Fulfilled, NotFulfilled, NotPaid, PeriodOver, Pieces, TooMuch, Unknown

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
        contact="sealed",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
        number="K7Q2X-9XMDA",
    )


@pytest.fixture
def paid() -> Order:
    order = pending()
    total = Money(amount=699, currency="GBP")
    members = {"order_id": order.order_id, "shopper_id": order.shopper_id, "lines": LINES, "total": total}
    order.pay(OrderPaid(**members, payment_id="pi_1"), NOW)
    return order


@pytest.fixture
def fulfilled(paid: Order) -> Order:
    paid.fulfil(NOW)
    return paid


def request(order: Order, return_id: UUID = FIRST, within: timedelta | None = PERIOD, **wanted: int) -> Any:
    pieces = [Pieces(sku, quantity) for sku, quantity in wanted.items()]
    return returning.request(order, return_id, pieces, NOW, within)


def give_back(order: Order, return_id: UUID = FIRST, amount: int | None = None, **wanted: int) -> Any:
    pieces = [Pieces(sku, quantity) for sku, quantity in wanted.items()]
    return returning.give_back(order, return_id, NOW, wanted=pieces, amount=amount, restock=False)


def refunded(amount: int, refund_id: UUID = FIRST, by: str = "return") -> PaymentRefundedInPart:
    return PaymentRefundedInPart(
        order_id=UUID(int=1),
        refund_id=refund_id,
        payment_id="pi_1",
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
    order.withdraw(NOW)
    return order


def test_what_left_is_returned_and_what_did_not_is_cancelled(paid: Order) -> None:
    for order in (paid, pending()):
        with pytest.raises(NotFulfilled, match="cancel it instead"):
            request(order, A=1)
    with pytest.raises(NotPaid):
        request(cancelled(), A=1)
    paid.fulfil(NOW)
    with pytest.raises(Fulfilled, match="request a return instead"):
        paid.withdraw(NOW)
    assert paid.status == "paid"


def test_a_return_is_worth_what_was_paid_for_it(fulfilled: Order) -> None:
    one = request(fulfilled, A=2, B=1)
    assert (one.state, one.amount) == ("requested", 699)
    assert [(line.sku, line.quantity, line.unit_price) for line in one.lines] == [
        ("A", 2, 250),
        ("B", 1, 199),
    ]
    assert not one.awaits()


def test_never_more_goes_back_than_was_bought_less_what_did_or_is_to(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    with pytest.raises(TooMuch) as refused:
        request(fulfilled, SECOND, A=2, B=1, C=1)
    assert refused.value.errors == [
        {"sku": "A", "detail": "At most 1 can go back."},
        {"sku": "C", "detail": "None of it can go back."},
    ]
    request(fulfilled, SECOND, A=1)
    with pytest.raises(TooMuch):
        request(fulfilled, THIRD, A=1)
    assert len(fulfilled.returns) == 2


def test_lines_that_are_named_twice_are_added_up(fulfilled: Order) -> None:
    with pytest.raises(TooMuch):
        returning.request(fulfilled, FIRST, [Pieces("A", 2), Pieces("A", 1)], NOW, PERIOD)


@pytest.mark.parametrize("state", ["rejected", "withdrawn"])
def test_what_is_not_returned_after_all_can_be_returned_again(fulfilled: Order, state: Any) -> None:
    request(fulfilled, FIRST, A=2)
    assert returning.close(fulfilled, FIRST, state, "why")
    assert not returning.close(fulfilled, FIRST, state, "why")
    request(fulfilled, SECOND, A=2)
    with pytest.raises(Closed):
        returning.receive(fulfilled, FIRST, NOW)


def test_shoppers_have_a_period_and_staff_have_none(fulfilled: Order) -> None:
    late = NOW + PERIOD
    with pytest.raises(PeriodOver, match="for 30 days"):
        returning.request(fulfilled, FIRST, [Pieces("A", 1)], late, PERIOD)
    returning.request(fulfilled, FIRST, [Pieces("A", 1)], late - timedelta(seconds=1), PERIOD)
    returning.request(fulfilled, SECOND, [Pieces("A", 1)], late, None)


def test_receiving_says_once_what_is_restocked_and_refunded(fulfilled: Order) -> None:
    request(fulfilled, A=1)
    [said] = returning.receive(fulfilled, FIRST, NOW)
    assert isinstance(said, OrderReturned)
    assert (said.subject, said.about, said.by) == (FIRST, fulfilled.order_id, "return")
    assert [(line.sku, line.quantity) for line in said.lines] == [("A", 1)]
    assert said.amount == Money(amount=250, currency="GBP")
    assert returning.receive(fulfilled, FIRST, NOW + PERIOD) == []
    with pytest.raises(Closed):
        returning.close(fulfilled, FIRST, "withdrawn")
    with pytest.raises(Unknown):
        returning.receive(fulfilled, SECOND, NOW)


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_return_is_done_once_it_is_restocked_and_refunded(fulfilled: Order, refund_first: bool) -> None:
    request(fulfilled, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    assert fulfilled.owes(()) == ["payment.refunded_in_part", "stock.returned"]
    assert fulfilled.returning_since == NOW
    for refund in (refund_first, not refund_first) * 2:
        if refund:
            returning.note_refund(fulfilled, refunded(250), NOW)
        else:
            returning.note_restock(fulfilled, FIRST, NOW)
    assert fulfilled.owes(()) == []
    assert fulfilled.returning_since is None
    assert (fulfilled.refunded, fulfilled.left) == (250, 449)


def test_staff_give_money_back_by_amount_by_lines_or_all_that_is_left(paid: Order) -> None:
    [said] = give_back(paid, FIRST, amount=100)
    assert (said.lines, said.amount.amount, said.by) == ((), 100, "staff")
    [said] = give_back(paid, SECOND, A=1)
    assert (said.lines, said.amount.amount) == ((), 250)
    [said] = give_back(paid, THIRD)
    assert said.amount.amount == 349
    assert paid.left == 0
    with pytest.raises(TooMuch):
        give_back(paid, UUID(int=14), amount=1)
    with pytest.raises(TooMuch, match="given back"):
        paid.fulfil(NOW)


def test_staff_restock_lines_if_they_say_so(paid: Order) -> None:
    [said] = returning.give_back(paid, FIRST, NOW, wanted=[Pieces("B", 1)], amount=None, restock=True)
    assert [line.sku for line in said.lines] == ["B"]
    assert paid.owes(()) == ["payment.refunded_in_part", "stock.returned"]


def test_no_more_is_ever_promised_than_was_paid(fulfilled: Order) -> None:
    give_back(fulfilled, FIRST, amount=600)
    one = request(fulfilled, SECOND, A=1)
    assert one.amount == 99
    with pytest.raises(TooMuch, match="0 minor units"):
        give_back(fulfilled, THIRD, amount=1)
    [said] = returning.receive(fulfilled, SECOND, NOW)
    assert said.amount.amount == 99


def test_what_was_refunded_at_the_provider_meanwhile_is_not_refunded_again(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=2)
    returning.note_refund(fulfilled, refunded(600, SECOND, "provider"), NOW)
    returning.note_refund(fulfilled, refunded(600, SECOND, "provider"), NOW)
    [said] = returning.receive(fulfilled, FIRST, NOW)
    assert said.amount.amount == 99
    assert [one.by for one in fulfilled.returns] == ["return", "provider"]


def test_nobody_waits_for_a_refund_once_all_of_the_money_went_back(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    returning.note_refund(fulfilled, refunded(699, SECOND, "provider"), NOW)
    assert fulfilled.owes(()) == ["stock.returned"]
    returning.note_restock(fulfilled, FIRST, NOW)
    assert fulfilled.returning_since is None


def test_an_order_without_fulfilment_is_cancelled_though_some_money_went_back(paid: Order) -> None:
    give_back(paid, amount=100)
    [said] = paid.withdraw(NOW, by="staff")
    assert isinstance(said, OrderCancelled)
    assert (said.reason, said.cancelled_by) == ("shopper", "staff")
    assert paid.returning_since is None


def test_an_order_of_which_lines_went_back_is_not_cancelled(paid: Order) -> None:
    give_back(paid, A=1)
    with pytest.raises(Fulfilled):
        paid.withdraw(NOW)


def test_what_was_said_of_a_paid_order_is_said_again(fulfilled: Order) -> None:
    request(fulfilled, FIRST, A=1)
    [said] = returning.receive(fulfilled, FIRST, NOW)
    request(fulfilled, SECOND, B=1)
    returning.note_refund(fulfilled, refunded(1, THIRD, "provider"), NOW)
    assert fulfilled.restate(NOW)[1:] == [said]
    assert [event.type for event in fulfilled.restate(NOW)] == ["order.fulfilled", "order.returned"]


@pytest.mark.parametrize(
    "news",
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
def test_news_of_what_never_went_back_are_impossible(fulfilled: Order, news: Any) -> None:
    request(fulfilled, FIRST, A=1)
    request(fulfilled, THIRD, A=1)
    returning.receive(fulfilled, THIRD, NOW)
    with pytest.raises(Impossible):
        news(fulfilled)


def test_a_return_after_a_pause_is_nudged_anew(fulfilled: Order) -> None:
    fulfilled.nudges, fulfilled.nudge_at = 5, NOW
    request(fulfilled, A=1)
    returning.receive(fulfilled, FIRST, NOW)
    assert fulfilled.stand(NOW, PERIOD, limit=1)


@pytest.mark.parametrize(("status", "since"), [("needs_response", NOW), ("won", NOW), ("lost", None)])
def test_nothing_is_refunded_of_what_the_shoppers_bank_has_taken_for_good(
    paid: Order, status: str, since: datetime | None
) -> None:
    give_back(paid, amount=100)
    disputed = PaymentDisputed(
        order_id=paid.order_id,
        dispute_id=UUID(int=7),
        payment_id="pi_1",
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
    failed = PaymentRefundFailed(
        order_id=order.order_id, refund_id=FIRST, payment_id="pi_1", amount=money, code="lost_card"
    )
    returning.note_refund(order, refunded(250), NOW)
    order.note_failed_refund(failed, NOW)


def test_that_a_refund_was_settled_otherwise_is_said_once_and_said_again_when_nudged(paid: Order) -> None:
    give_back(paid, FIRST, amount=250)
    came_back(paid)
    assert paid.refunded == 0
    [said] = returning.settle(paid, FIRST, NOW)
    assert (said.subject, said.amount, paid.refunded) == (FIRST, Money(amount=250, currency="GBP"), 250)
    assert returning.settle(paid, FIRST, NOW) == []
    assert said in paid.restate(NOW)
    with pytest.raises(Fulfilled, match="staff refund the rest"):
        paid.withdraw(NOW)


def test_what_goes_back_of_a_cancelled_order_may_be_settled_otherwise(paid: Order) -> None:
    paid.withdraw(NOW)
    paid.note_refund(699, NOW)
    failed = PaymentRefundFailed(
        order_id=paid.order_id,
        refund_id=SECOND,
        payment_id="pi_1",
        amount=Money(amount=699, currency="GBP"),
        code="lost_card",
    )
    paid.note_failed_refund(failed, NOW)
    returning.settle(paid, SECOND, NOW)
    assert [event.type for event in paid.restate(NOW)] == ["order.cancelled", "order.refund_settled"]
    assert paid.refunded == 699
