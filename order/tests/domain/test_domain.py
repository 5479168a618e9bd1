"""An order's rules, by example and over any sequence of events."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Line, Money, OrderCancelled, OrderPaid, PaymentActionRequired, ShortLine
from contracts.testing import order_paid, payment_action_required
from order import events
from order.domain import Address, Order
from order.errors import Impossible, NotOrderable, TotalOutOfRange
from order.pricing import Limits, Offer, Wanted, orderable, priced
from order.returns import LateRefund, Return, ReturnState

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
        contact="encrypted",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
    )


def paid(order: Order, **otherwise: Any) -> OrderPaid:
    """The event of its captured payment."""
    placed: dict[str, Any] = {
        "order_id": order.order_id,
        "shopper_id": order.shopper_id,
        "lines": order.lines,
    }
    return order_paid(**placed | {"total": Money(amount=order.total, currency=order.currency)} | otherwise)


PERIOD = timedelta(days=30)


def ended(**how: Any) -> Order:
    order = new_order()
    for name, value in how.items():
        setattr(order, name, value)
    return order


def test_an_order_is_over_when_nothing_can_follow() -> None:
    paid = {"status": "paid", "paid_at": NOW}
    for order, now, is_over in (
        (new_order(), NOW, False),
        (ended(status="cancelled"), NOW, False),
        (ended(status="cancelled", undone=True), NOW, True),
        (ended(**paid), NOW, False),
        (ended(**paid), NOW + PERIOD, True),
        (ended(**paid, fulfilled_at=NOW), NOW, True),
        (ended(**paid, fulfilled_at=NOW, returning_since=NOW), NOW, False),
        (ended(**paid, fulfilled_at=NOW, returns=(returned("requested"),)), NOW, False),
        (ended(**paid, fulfilled_at=NOW, returns=(returned("rejected"),)), NOW, True),
        (ended(**paid, fulfilled_at=NOW, late_refunds=(FAILED,)), NOW, False),
    ):
        assert order.is_over(now, PERIOD) == is_over


def returned(state: ReturnState) -> Return:
    return Return(UUID(int=3), "return", state, (), 250, NOW)


FAILED = LateRefund(UUID(int=4), 250, "expired_or_canceled_card", NOW)


def test_an_anonymised_order_keeps_its_amounts_and_says_so_once() -> None:
    order = new_order()
    order.shipping, order.sealed_shipping = Address("Ada", "1 Lane", "York", "YO1", "GB"), "encrypted"
    order.return_url, order.network = "https://shop.example/back", b"hashed"
    order.contact_hash = b"hashed"
    assert [event.type for event in order.anonymise()] == ["order.anonymised"]
    assert order.anonymise() == []
    erased = {order.contact, order.contact_hash, order.shipping, order.sealed_shipping}
    assert {*erased, order.return_url, order.network} == {None}
    assert (order.total, order.number, len(order.lines)) == (500, None, 1)


def test_an_anonymised_order_says_so_again_when_nudged_and_publishes_no_address() -> None:
    order = ended(status="cancelled", reason="shopper", undone=True)
    order.anonymise()
    cancelled, anonymised = events.to_republish(order, NOW)
    assert isinstance(cancelled, OrderCancelled)
    assert (cancelled.contact, cancelled.shipping) == (None, None)
    assert anonymised.type == "order.anonymised"


def asked(order: Order) -> PaymentActionRequired:
    """The event that the shopper's bank asks her to confirm."""
    return payment_action_required(order_id=order.order_id, url="encrypted page", expires_at=LATER)


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
    with pytest.raises(NotOrderable, match="empty"):
        price()


def test_every_line_that_cannot_be_ordered_is_named() -> None:
    with pytest.raises(NotOrderable) as refused:
        price(Wanted("A", 1), Wanted("GONE", 1), Wanted("B", 0), Wanted("AWAY", 2))
    assert [error["sku"] for error in refused.value.errors] == ["GONE", "B", "AWAY"]


def test_a_quantity_has_bounds() -> None:
    price(Wanted("A", 5), limits=Limits(quantity=5))
    with pytest.raises(NotOrderable) as refused:
        price(Wanted("A", 6), limits=Limits(quantity=5))
    assert [error["sku"] for error in refused.value.errors] == ["A"]


def test_an_order_has_a_maximum_number_of_lines() -> None:
    price(Wanted("A", 1), Wanted("B", 1), limits=Limits(lines=2))
    with pytest.raises(NotOrderable, match="can have 2 lines"):
        price(Wanted("A", 1), Wanted("B", 1), Wanted("A", 1), limits=Limits(lines=2))


def test_a_total_has_bounds() -> None:
    price(Wanted("A", 2), limits=Limits(total=500))
    with pytest.raises(TotalOutOfRange, match=r"total is £7.50; the maximum is £5.00"):
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
    with pytest.raises(TotalOutOfRange) as refused:
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
def test_what_the_provider_would_charge_is_accepted(unit_price: int, quantity: int, currency: str) -> None:
    _, total = price(Wanted("A", quantity), offers=sold(unit_price, currency))
    assert total == Money(amount=unit_price * quantity, currency=currency)


def test_an_order_may_be_free() -> None:
    lines, total = price(Wanted("A", 3), offers=sold(0, "GBP"))
    assert total == Money(amount=0, currency="GBP")
    assert [line.quantity for line in lines] == [3]


@pytest.mark.parametrize(
    ("unit_price", "currency", "detail"),
    [
        (100, "IQD", "currency, IQD, is not supported"),
        (0, "XXX", "currency, XXX"),
        (5124, "KWD", "KWD 5.124, cannot be charged: it is not a multiple of KWD 0.010"),
        (150, "MGA", "MGA 1.50, cannot be charged: it is not a multiple of MGA 1.00"),
    ],
)
def test_a_price_that_cannot_be_charged_is_named(unit_price: int, currency: str, detail: str) -> None:
    with pytest.raises(NotOrderable) as refused:
        price(Wanted("A", 1), offers=sold(unit_price, currency))
    [error] = refused.value.errors
    assert error["sku"] == "A"
    assert detail in error["detail"]


def test_one_order_has_one_currency() -> None:
    with pytest.raises(NotOrderable, match="EUR, GBP"):
        price(Wanted("A", 1), Wanted("E", 1), offers=(LANTERN, Offer("E", "Éclair", 100, "EUR")))


def test_order_created_has_all_that_other_services_need() -> None:
    published = events.created(new_order())
    assert published.order_id == UUID(int=1)
    assert published.total.amount == 500
    assert published.payment_method == "pm_card_visa"
    assert published.contact == "encrypted"
    assert published.deadline == NOW + timedelta(minutes=15)


def test_a_pending_order_is_paid() -> None:
    order = new_order()
    order.pay(paid(order), LATER)
    assert (order.status, order.payment_id, order.paid_at) == ("paid", "pi_1", LATER)


@pytest.mark.parametrize(
    ("otherwise", "differs"),
    [
        ({"total": Money(amount=50, currency="GBP")}, "the total"),
        ({"total": Money(amount=500, currency="USD")}, "the total"),
        ({"shopper_id": UUID(int=3)}, "the shopper"),
        ({"lines": (Line(sku="A", name="Red lantern", quantity=1, unit_price=250),)}, "the lines"),
        ({"lines": (Line(sku="B", name="Red lantern", quantity=2, unit_price=250),)}, "the lines"),
    ],
)
def test_a_payment_that_differs_from_the_order_is_impossible(otherwise: dict[str, Any], differs: str) -> None:
    order = new_order()
    with pytest.raises(Impossible, match=f"paid, but differs from what was ordered: {differs}$"):
        order.pay(paid(order, **otherwise), LATER)
    assert (order.status, order.payment_id) == ("pending", None)
    assert [event.reason for event in order.expire(order.deadline)] == ["expired"], "the order still ends"


def test_an_order_is_not_paid_by_two_payments() -> None:
    order = new_order()
    order.pay(paid(order), LATER)
    with pytest.raises(Impossible, match="second payment"):
        order.pay(paid(order, payment_id="pi_2"), LATER)


def test_a_renamed_product_does_not_make_the_payment_differ() -> None:
    order = new_order()
    renamed = (Line(sku="A", name="Lantern, red", quantity=2, unit_price=250),)
    order.pay(paid(order, lines=renamed), LATER)
    assert order.status == "paid"


def test_a_cancelled_order_that_is_paid_stays_cancelled() -> None:
    order = new_order()
    order.cancel(NOW)
    order.pay(paid(order), LATER)
    assert (order.status, order.reason, order.paid_at) == ("cancelled", "shopper", None)


def test_order_cancelled_has_the_missing_stock() -> None:
    order = new_order()
    [published] = order.cancel_out_of_stock(SHORT, LATER)
    assert (published.reason, published.short, published.was_paid) == ("out_of_stock", SHORT, False)
    assert (order.status, order.short) == ("cancelled", SHORT)


def test_a_paid_order_can_be_returned() -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    [published] = order.cancel(LATER)
    assert published.was_paid
    assert (order.status, order.reason, order.paid_at) == ("cancelled", "shopper", NOW)


def test_a_paid_order_never_expires() -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    assert order.expire(LATER) == []
    assert order.status == "paid"


def test_compensations_keep_the_time_of_the_first_event() -> None:
    order = new_order()
    order.cancel(NOW)
    order.note_release(NOW)
    order.note_release(LATER)
    order.note_void(NOW)
    order.note_void(LATER)
    assert (order.stock_released_at, order.voided_at) == (NOW, NOW)


@pytest.mark.parametrize("event", ["cancel_out_of_stock", "decline"])
def test_a_refusal_of_what_was_paid_is_impossible(event: str) -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    with pytest.raises(Impossible):
        EVENTS[event](order)
    order.cancel(NOW)
    with pytest.raises(Impossible):
        EVENTS[event](order)


@pytest.mark.parametrize("refusal", ["cancel_out_of_stock", "decline"])
def test_paying_what_was_refused_is_impossible(refusal: str) -> None:
    order = new_order()
    EVENTS[refusal](order)
    with pytest.raises(Impossible):
        order.pay(paid(order), LATER)


@pytest.mark.parametrize("note", ["note_release", "note_void", "note_refund"])
def test_nothing_is_undone_of_a_paid_order(note: str) -> None:
    order = new_order()
    order.pay(paid(order), NOW)
    with pytest.raises(Impossible):
        EVENTS[note](order)


def test_stock_is_not_released_before_the_order_is_cancelled() -> None:
    with pytest.raises(Impossible):
        new_order().note_release(LATER)


@pytest.mark.parametrize("note", ["note_void", "note_refund"])
def test_the_refund_may_arrive_before_the_decline(note: str) -> None:
    order = new_order()
    EVENTS[note](order)
    assert order.status == "pending"
    with pytest.raises(Impossible):
        order.pay(paid(order), LATER)
    [published] = order.decline("card_expired", LATER)
    assert (order.status, published.reason) == ("cancelled", "payment_declined")


def test_a_decline_of_a_cancelled_order_does_not_change_its_reason() -> None:
    order = new_order()
    order.cancel(NOW)
    assert order.decline("card_expired", LATER) == []
    assert (order.reason, order.decline_reason) == ("shopper", None)


def test_the_confirmation_page_is_kept_until_the_order_ends() -> None:
    for end, ended in EVENTS.items():
        order = new_order()
        order.ask_shopper(asked(order))
        assert (order.action_url, order.action_expires_at) == ("encrypted page", LATER)
        with suppress(Impossible):
            ended(order)
        assert (order.action_url is None) == (order.status != "pending"), end


def test_an_ended_order_gets_no_confirmation_page() -> None:
    for end in ("pay", "decline", "expire", "withdraw"):
        order = new_order()
        EVENTS[end](order)
        before = asdict(order)
        order.ask_shopper(asked(order))
        assert asdict(order) == before


def test_an_unconfirmed_payment_cancels_the_order_as_expired() -> None:
    order = new_order()
    order.ask_shopper(asked(order))
    [published] = order.decline("not_confirmed", LATER, too_late=True)
    assert (order.status, published.reason) == ("cancelled", "expired")
    assert order.decline("not_confirmed", LATER, too_late=True) == []


def test_money_is_voided_or_refunded_but_not_both() -> None:
    order, other = new_order(), new_order()
    for one in (order, other):
        one.cancel(NOW)
    order.note_void(NOW)
    other.note_refund(500, NOW)
    with pytest.raises(Impossible):
        order.note_refund(500, LATER)
    with pytest.raises(Impossible):
        other.note_void(LATER)


EVENTS: dict[str, Any] = {
    "pay": lambda order: order.pay(paid(order), LATER),
    "cancel_out_of_stock": lambda order: order.cancel_out_of_stock(SHORT, LATER),
    "ask_shopper": lambda order: order.ask_shopper(asked(order)),
    "decline": lambda order: order.decline("card_expired", LATER),
    "expire": lambda order: order.expire(LATER),
    "withdraw": lambda order: order.cancel(LATER),
    "note_release": lambda order: order.note_release(LATER),
    "note_void": lambda order: order.note_void(LATER),
    "note_refund": lambda order: order.note_refund(500, LATER),
}
histories = st.lists(st.sampled_from(sorted(EVENTS)), max_size=12)


def apply(order: Order, event: str) -> list[OrderCancelled]:
    with suppress(Impossible):
        return EVENTS[event](order) or []
    return []


@given(histories)
def test_after_any_events_an_order_is_consistent(
    history: list[str],
) -> None:
    order = new_order()
    for event in history:
        apply(order, event)
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


@given(histories)
def test_cancelled_is_final_and_published_once(history: list[str]) -> None:
    order = new_order()
    published = []
    for event in history:
        was = (order.status, order.reason, order.cancelled_at)
        published += apply(order, event)
        if was[0] == "cancelled":
            assert (order.status, order.reason, order.cancelled_at) == was
    assert len(published) == (order.status == "cancelled")
    assert all(one.reason == order.reason for one in published)


@given(histories, st.sampled_from(sorted(EVENTS)))
def test_a_repeated_event_has_no_effect(history: list[str], event: str) -> None:
    order = new_order()
    for one in history:
        apply(order, one)
    apply(order, event)
    once = asdict(order)
    assert apply(order, event) == []
    assert asdict(order) == once


@given(histories)
def test_an_impossible_event_changes_nothing(history: list[str]) -> None:
    order = new_order()
    for event in history:
        before = asdict(order)
        try:
            EVENTS[event](order)
        except Impossible:
            assert asdict(order) == before


def test_only_events_that_are_still_true_are_republished() -> None:
    order = new_order()
    assert events.to_republish(order, NOW) == [events.created(order)]
    assert events.to_republish(order, order.deadline) == [], "it is about to expire"
    order.pay(paid(order), NOW)
    assert events.to_republish(order, NOW) == []
    published = order.cancel(LATER)
    assert published[0].was_paid
    assert events.to_republish(order, order.deadline) == published, "exactly as it was published"

    short = new_order()
    assert short.cancel_out_of_stock(SHORT, NOW) == events.to_republish(short, LATER)


@pytest.mark.parametrize(
    ("types", "missing"),
    [
        ([], []),
        (["order.created", "stock.rejected", "payment.declined"], []),
        (["stock.reserved"], ["stock.released"]),
        (["payment.authorized"], ["payment.voided"]),
        (["stock.reserved", "payment.authorized", "order.paid"], ["stock.released", "payment.refunded"]),
    ],
)
def test_what_was_done_for_a_cancelled_order_needs_compensation(types: list[str], missing: list[str]) -> None:
    order = new_order()
    assert events.missing_compensations(order, types) == [], "nothing while it is pending"
    order.cancel(NOW)
    assert events.missing_compensations(order, types) == missing
    if "stock.released" in missing:
        order.note_release(LATER)
    if "payment.voided" in missing:
        order.note_void(LATER)
    if "payment.refunded" in missing:
        order.note_refund(500, LATER)
    assert events.missing_compensations(order, types) == []


def test_a_late_capture_needs_compensation_after_all() -> None:
    order = new_order()
    order.expire(order.deadline)
    order.undone = True
    order.pay(paid(order), order.deadline)
    assert not order.undone


def test_a_stuck_order_is_nudged_a_limited_number_of_times_with_doubling_pauses() -> None:
    order, minute = new_order(), timedelta(minutes=1)
    assert [order.count_nudge(NOW, minute, 2) for _ in range(4)] == [True, True, False, False]
    assert order.nudge_at == NOW + 4 * minute
    order.cancel(NOW)
    assert asdict(order)["nudge_at"] is None, "what it waits for now is something else"
    assert order.nudges == 0


@pytest.mark.parametrize("sku", ["", "😀", "A B", "A\n", "-A", "x" * 33, "A/B", "é"])
def test_an_invalid_sku_is_refused_before_prices_are_read(sku: str) -> None:
    with pytest.raises(NotOrderable) as refused:
        orderable([Wanted("A", 1), Wanted(sku, 1)], Limits())
    assert [error["sku"] for error in refused.value.errors] == [sku]
