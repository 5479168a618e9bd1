"""An order's rules, by example and over any sequence of news."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    Line,
    Money,
    OrderCancelled,
    OrderPaid,
    PaymentActionRequired,
    ShortLine,
)
from order.domain import Impossible, Order
from order.pricing import Limits, NotCharged, Offer, Refused, Wanted, orderable, priced

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
SHORT = (ShortLine(sku="A", wanted=2, available=1),)
LANTERN = Offer("A", "Red lantern", 250, "GBP")
MUG = Offer("B", "Blue mug", 199, "GBP")


def new_order() -> Order:
    return Order(
        order_id=UUID(int=1),
        shopper_id=UUID(int=2),
        lines=(Line(sku="A", name="Red lantern", quantity=2, unit_price=250),),
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
    )


def paid(order: Order, **otherwise: Any) -> OrderPaid:
    """What payment says of it."""
    members: dict[str, Any] = {
        "order_id": order.order_id,
        "shopper_id": order.shopper_id,
        "lines": order.lines,
        "total": Money(amount=order.total, currency=order.currency),
        "payment_id": "pi_1",
    }
    return OrderPaid(**members | otherwise)


def asked(order: Order) -> PaymentActionRequired:
    """What payment says when the shopper's bank asks."""
    members: dict[str, Any] = {"order_id": order.order_id, "payment_id": "pi_1", "url": "sealed page"}
    return PaymentActionRequired(**members, expires_at=LATER)


def price(*wanted: Wanted, limits: Limits | None = None, offers: tuple[Offer, ...] = (LANTERN, MUG)) -> Any:
    orderable(wanted, limits or Limits())
    return priced(wanted, {offer.sku: offer for offer in offers}, limits or Limits())


def test_an_order_costs_what_products_cost_at_checkout() -> None:
    lines, total = price(Wanted("A", 2), Wanted("B", 1))
    assert [(line.sku, line.name, line.quantity, line.unit_price) for line in lines] == [
        ("A", "Red lantern", 2, 250),
        ("B", "Blue mug", 1, 199),
    ]
    assert (total.amount, total.currency) == (699, "GBP")


def test_an_empty_cart_is_refused() -> None:
    with pytest.raises(Refused, match="empty"):
        price()


def test_every_line_that_cannot_be_ordered_is_named() -> None:
    with pytest.raises(Refused) as refused:
        price(Wanted("A", 1), Wanted("GONE", 1), Wanted("B", 0), Wanted("AWAY", 2))
    assert [error["sku"] for error in refused.value.errors] == ["GONE", "B", "AWAY"]


def test_a_quantity_has_bounds() -> None:
    price(Wanted("A", 5), limits=Limits(quantity=5))
    with pytest.raises(Refused) as refused:
        price(Wanted("A", 6), limits=Limits(quantity=5))
    assert [error["sku"] for error in refused.value.errors] == ["A"]


def test_an_order_has_so_many_lines_at_most() -> None:
    price(Wanted("A", 1), Wanted("B", 1), limits=Limits(lines=2))
    with pytest.raises(Refused, match="2 lines at most"):
        price(Wanted("A", 1), Wanted("B", 1), Wanted("A", 1), limits=Limits(lines=2))


def test_a_total_has_bounds() -> None:
    price(Wanted("A", 2), limits=Limits(total=500))
    with pytest.raises(NotCharged, match=r"comes to £7.50; the most that can be charged is £5.00"):
        price(Wanted("A", 3), limits=Limits(total=500))


def sold(price: int, currency: str) -> tuple[Offer, ...]:
    return (Offer("A", "Red lantern", price, currency),)


@pytest.mark.parametrize(
    ("unit_price", "quantity", "currency"),
    [
        (29, 1, "GBP"),
        (24, 2, "USD"),
        (49, 1, "JPY"),
        (17_499, 1, "HUF"),
        (100_000, 10, "ISK"),  # in the provider's units it has nine digits
        (10_000_000, 10, "GBP"),
    ],
)
def test_what_the_provider_would_not_charge_is_refused(unit_price: int, quantity: int, currency: str) -> None:
    with pytest.raises(NotCharged) as refused:
        price(Wanted("A", quantity), offers=sold(unit_price, currency))
    assert refused.value.total == Money(amount=unit_price * quantity, currency=currency)
    assert not refused.value.minimum <= unit_price * quantity <= refused.value.maximum


@pytest.mark.parametrize(
    ("unit_price", "quantity", "currency"),
    [
        (15, 2, "GBP"),
        (50, 1, "JPY"),
        (1, 1, "ISK"),
        (10, 1, "KWD"),
        (100, 1, "MGA"),
        (999_999, 1, "ISK"),
        (99_999_999, 1, "GBP"),
    ],
)
def test_what_it_would_is_taken_in_each_currency(unit_price: int, quantity: int, currency: str) -> None:
    _, total = price(Wanted("A", quantity), offers=sold(unit_price, currency))
    assert total == Money(amount=unit_price * quantity, currency=currency)


def test_an_order_may_be_free() -> None:
    lines, total = price(Wanted("A", 3), offers=sold(0, "GBP"))
    assert total == Money(amount=0, currency="GBP")
    assert [line.quantity for line in lines] == [3]


@pytest.mark.parametrize(
    ("unit_price", "currency", "said"),
    [
        (100, "IQD", "priced in IQD, in which nothing can be paid"),
        (0, "XXX", "priced in XXX"),
        (5124, "KWD", "KWD 5.124, cannot be charged: it is no multiple of KWD 0.010"),
        (150, "MGA", "MGA 1.50, cannot be charged: it is no multiple of MGA 1.00"),
    ],
)
def test_a_price_that_nobody_can_pay_is_named(unit_price: int, currency: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        price(Wanted("A", 1), offers=sold(unit_price, currency))
    [error] = refused.value.errors
    assert error["sku"] == "A"
    assert said in error["detail"]


def test_one_order_has_one_currency() -> None:
    with pytest.raises(Refused, match="EUR, GBP"):
        price(Wanted("A", 1), Wanted("E", 1), offers=(LANTERN, Offer("E", "Éclair", 100, "EUR")))


def test_a_new_order_says_all_that_neighbours_need() -> None:
    said = new_order().created()
    assert said.order_id == UUID(int=1)
    assert said.total.amount == 500
    assert said.payment_method == "pm_card_visa"
    assert said.contact == "sealed"
    assert said.deadline == NOW + timedelta(minutes=15)


def test_a_pending_order_is_paid() -> None:
    order = new_order()
    order.pay(paid(order), LATER)
    assert (order.status, order.payment_id, order.paid_at) == ("paid", "pi_1", LATER)


@pytest.mark.parametrize(
    ("otherwise", "told"),
    [
        ({"total": Money(amount=50, currency="GBP")}, "the total"),
        ({"total": Money(amount=500, currency="USD")}, "the total"),
        ({"shopper_id": UUID(int=3)}, "the shopper"),
        ({"lines": (Line(sku="A", name="Red lantern", quantity=1, unit_price=250),)}, "the lines"),
        ({"lines": (Line(sku="B", name="Red lantern", quantity=2, unit_price=250),)}, "the lines"),
    ],
)
def test_what_was_paid_otherwise_than_ordered_is_not_paid(otherwise: dict[str, Any], told: str) -> None:
    order = new_order()
    with pytest.raises(Impossible, match=f"paid, but not as ordered: {told}$"):
        order.pay(paid(order, **otherwise), LATER)
    assert (order.status, order.payment_id) == ("pending", None)
    assert [event.reason for event in order.expire(order.deadline)] == ["expired"], "and it ends"


def test_an_order_is_not_paid_by_two_payments() -> None:
    order = new_order()
    order.pay(paid(order), LATER)
    with pytest.raises(Impossible, match="another payment"):
        order.pay(paid(order, payment_id="pi_2"), LATER)


def test_what_a_product_is_called_is_no_matter_of_money() -> None:
    order = new_order()
    renamed = (Line(sku="A", name="Lantern, red", quantity=2, unit_price=250),)
    order.pay(paid(order, lines=renamed), LATER)
    assert order.status == "paid"


def test_a_cancelled_order_that_is_paid_stays_cancelled() -> None:
    order = new_order()
    order.withdraw(NOW)
    order.pay(paid(order), LATER)
    assert (order.status, order.reason, order.paid_at) == ("cancelled", "shopper", None)


def test_what_is_short_is_said_on_cancelling() -> None:
    order = new_order()
    [said] = order.run_short(SHORT, LATER)
    assert (said.reason, said.short, said.was_paid) == ("out_of_stock", SHORT, False)
    assert (order.status, order.short) == ("cancelled", SHORT)


def test_a_paid_order_can_be_returned() -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    [said] = order.withdraw(LATER)
    assert said.was_paid
    assert (order.status, order.reason, order.paid_at) == ("cancelled", "shopper", NOW)


def test_a_paid_order_never_expires() -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    assert order.expire(LATER) == []
    assert order.status == "paid"


def test_compensations_keep_the_moment_they_were_first_heard_of() -> None:
    order = new_order()
    order.withdraw(NOW)
    order.note_release(NOW)
    order.note_release(LATER)
    order.note_void(NOW)
    order.note_void(LATER)
    assert (order.stock_released_at, order.voided_at) == (NOW, NOW)


@pytest.mark.parametrize("news", ["run_short", "decline"])
def test_a_refusal_of_what_was_paid_is_impossible(news: str) -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    with pytest.raises(Impossible):
        NEWS[news](order)
    order.withdraw(NOW)
    with pytest.raises(Impossible):
        NEWS[news](order)


@pytest.mark.parametrize("refusal", ["run_short", "decline"])
def test_paying_what_was_refused_is_impossible(refusal: str) -> None:
    order = new_order()
    NEWS[refusal](order)
    with pytest.raises(Impossible):
        order.pay(paid(order), LATER)


@pytest.mark.parametrize("note", ["note_release", "note_void", "note_refund"])
def test_nothing_is_undone_of_a_paid_order(note: str) -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    with pytest.raises(Impossible):
        NEWS[note](order)


def test_stock_is_not_released_before_the_order_is_cancelled() -> None:
    with pytest.raises(Impossible):
        new_order().note_release(LATER)


@pytest.mark.parametrize("note", ["note_void", "note_refund"])
def test_money_may_be_back_before_the_decline_is_heard(note: str) -> None:
    order = new_order()
    NEWS[note](order)
    assert order.status == "pending"
    with pytest.raises(Impossible):
        order.pay(paid(order), LATER)
    [said] = order.decline("card_expired", LATER)
    assert (order.status, said.reason) == ("cancelled", "payment_declined")


def test_a_decline_of_what_is_cancelled_already_is_not_why_it_was() -> None:
    order = new_order()
    order.withdraw(NOW)
    assert order.decline("card_expired", LATER) == []
    assert (order.reason, order.decline_reason) == ("shopper", None)


def test_who_is_asked_by_her_bank_sees_where_until_the_order_ends() -> None:
    for end, ended in NEWS.items():
        order = new_order()
        order.ask_shopper(asked(order))
        assert (order.action_url, order.action_expires_at) == ("sealed page", LATER)
        with suppress(Impossible):
            ended(order)
        assert (order.action_url is None) == (order.status != "pending"), end


def test_nobody_is_asked_about_an_order_that_has_ended() -> None:
    for end in ("pay", "decline", "expire", "withdraw"):
        order = new_order()
        NEWS[end](order)
        before = asdict(order)
        order.ask_shopper(asked(order))
        assert asdict(order) == before


def test_who_has_not_confirmed_in_time_has_let_the_order_expire() -> None:
    order = new_order()
    order.ask_shopper(asked(order))
    [said] = order.decline("not_confirmed", LATER, too_late=True)
    assert (order.status, said.reason) == ("cancelled", "expired")
    assert order.decline("not_confirmed", LATER, too_late=True) == []


def test_money_is_voided_or_refunded_but_not_both() -> None:
    order, other = new_order(), new_order()
    for one in (order, other):
        one.withdraw(NOW)
    order.note_void(NOW)
    other.note_refund(500, NOW)
    with pytest.raises(Impossible):
        order.note_refund(500, LATER)
    with pytest.raises(Impossible):
        other.note_void(LATER)


NEWS: dict[str, Any] = {
    "pay": lambda order: order.pay(paid(order), LATER),
    "run_short": lambda order: order.run_short(SHORT, LATER),
    "ask_shopper": lambda order: order.ask_shopper(asked(order)),
    "decline": lambda order: order.decline("card_expired", LATER),
    "expire": lambda order: order.expire(LATER),
    "withdraw": lambda order: order.withdraw(LATER),
    "note_release": lambda order: order.note_release(LATER),
    "note_void": lambda order: order.note_void(LATER),
    "note_refund": lambda order: order.note_refund(500, LATER),
}
stories = st.lists(st.sampled_from(sorted(NEWS)), max_size=12)


def hear(order: Order, news: str) -> list[OrderCancelled]:
    with suppress(Impossible):
        return NEWS[news](order) or []
    return []


@given(stories)
def test_whatever_is_heard_an_order_is_pending_paid_or_cancelled_consistently(
    story: list[str],
) -> None:
    order = new_order()
    for news in story:
        hear(order, news)
        assert (order.status == "cancelled") == (order.cancelled_at is not None) == (order.reason is not None)
        assert order.status != "paid" or order.paid_at is not None
        assert order.status != "pending" or order.paid_at is None
        assert (order.paid_at is None) == (order.payment_id is None)
        assert order.paid_at is None or order.reason in (None, "shopper")
        assert not order.short or order.reason == "out_of_stock"
        undone = (order.stock_released_at, order.voided_at, order.refunded_at)
        assert order.status != "paid" or undone == (None, None, None)
        assert order.status != "pending" or order.stock_released_at is None
        assert order.voided_at is None or order.refunded_at is None


@given(stories)
def test_cancelled_is_for_good_and_said_once(story: list[str]) -> None:
    order = new_order()
    said = []
    for news in story:
        was = (order.status, order.reason, order.cancelled_at)
        said += hear(order, news)
        if was[0] == "cancelled":
            assert (order.status, order.reason, order.cancelled_at) == was
    assert len(said) == (order.status == "cancelled")
    assert all(event.reason == order.reason for event in said)


@given(stories, st.sampled_from(sorted(NEWS)))
def test_news_heard_twice_are_as_news_heard_once(story: list[str], news: str) -> None:
    order = new_order()
    for one in story:
        hear(order, one)
    hear(order, news)
    once = asdict(order)
    assert hear(order, news) == []
    assert asdict(order) == once


@given(stories)
def test_the_impossible_changes_nothing(story: list[str]) -> None:
    order = new_order()
    for news in story:
        before = asdict(order)
        try:
            NEWS[news](order)
        except Impossible:
            assert asdict(order) == before


def test_only_what_still_holds_is_said_again() -> None:
    order = new_order()
    assert order.restate(NOW) == [order.created()]
    assert order.restate(order.deadline) == [], "it is about to expire"
    order.pay(paid(order), NOW)
    assert order.restate(NOW) == []
    said = order.withdraw(LATER)
    assert said[0].was_paid
    assert order.restate(order.deadline) == said, "to the letter as it was said"

    short = new_order()
    assert short.run_short(SHORT, NOW) == short.restate(LATER)


@pytest.mark.parametrize(
    ("told", "owed"),
    [
        ([], []),
        (["order.created", "stock.rejected", "payment.declined"], []),
        (["stock.reserved"], ["stock.released"]),
        (["payment.authorized"], ["payment.voided"]),
        (["stock.reserved", "payment.authorized", "order.paid"], ["stock.released", "payment.refunded"]),
    ],
)
def test_what_was_done_for_a_cancelled_order_has_to_be_undone(told: list[str], owed: list[str]) -> None:
    order = new_order()
    assert order.owes(told) == [], "nothing, while it is on"
    order.withdraw(NOW)
    assert order.owes(told) == owed
    if "stock.released" in owed:
        order.note_release(LATER)
    if "payment.voided" in owed:
        order.note_void(LATER)
    if "payment.refunded" in owed:
        order.note_refund(500, LATER)
    assert order.owes(told) == []


def test_a_capture_that_is_heard_of_late_has_to_be_undone_after_all() -> None:
    order = new_order()
    order.expire(order.deadline)
    order.undone = True
    order.pay(paid(order), order.deadline)
    assert not order.undone


def test_an_order_that_stands_is_nudged_so_often_and_ever_more_seldom() -> None:
    order, minute = new_order(), timedelta(minutes=1)
    assert [order.stand(NOW, minute, 2) for _ in range(4)] == [True, True, False, False]
    assert order.nudge_at == NOW + 4 * minute
    order.withdraw(NOW)
    assert asdict(order)["nudge_at"] is None, "what is waited for now is another matter"
    assert order.nudges == 0


@pytest.mark.parametrize("sku", ["", "😀", "A B", "A\n", "-A", "x" * 33, "A/B", "é"])
def test_what_is_no_sku_is_refused_before_anybody_is_asked_for_its_price(sku: str) -> None:
    with pytest.raises(Refused) as refused:
        orderable([Wanted("A", 1), Wanted(sku, 1)], Limits())
    assert [error["sku"] for error in refused.value.errors] == [sku]
