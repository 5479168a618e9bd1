"""What goes back of an order and stands is found, with who has to do what next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts import Line, Money, OrderPaid, PaymentRefundedInPart
from notification.domain import Correspondence
from order import returning
from order.domain import Order
from order.returns import Pieces
from payment.domain import Payment
from payment.outcomes import Authorized, Captured
from payment.refunds import MORE_THAN_IS_LEFT, Refund
from product.domain import Hold
from shop.diagram import title
from shop.sagas.finding import Finding
from shop.sagas.findings import stuck, waits_for
from shop.sagas.nudging import preview
from shop.sagas.returns import to_receive
from shop.sagas.seen import CallSeen, MailSeen, Seen, UnsaidSeen

CREATED = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = CREATED + timedelta(minutes=10)
PATIENCE = timedelta(minutes=1)
ID, BACK, OTHER = UUID(int=1), UUID(int=11), UUID(int=12)
LINES = (Line(sku="A", name="Red lantern", quantity=2, unit_price=250),)
TOTAL = Money(amount=500, currency="GBP")


@pytest.fixture
def order() -> Order:
    """Fulfilled; a piece of it is to come back."""
    one = Order(
        order_id=ID,
        shopper_id=UUID(int=2),
        lines=LINES,
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=CREATED,
        deadline=CREATED + timedelta(minutes=15),
        number="K7Q2X-9XMDA",
    )
    one.pay(
        OrderPaid(order_id=ID, shopper_id=one.shopper_id, lines=LINES, total=TOTAL, payment_id="pi"), CREATED
    )
    one.fulfil(CREATED)
    returning.request(one, BACK, [Pieces("A", 1)], CREATED, None)
    return one


@pytest.fixture
def received(order: Order) -> Order:
    returning.receive(order, BACK, CREATED)
    return order


def captured() -> Payment:
    one = Payment(ID)
    order = Order(
        ID, UUID(int=2), LINES, 500, "GBP", "pm_card_visa", "sealed", CREATED, CREATED + timedelta(minutes=15)
    )
    one.authorize(order.created())
    one.reserve()
    one.conclude(Authorized("pi_1", TOTAL), CREATED)
    one.conclude(Captured(TOTAL), CREATED)
    return one


def seen(order: Order, *refunds: Refund, back: bool = False, mailed: bool = True, **more: Any) -> Seen:
    hold = Hold(ID, "sold", {"A": 2}, returned={str(BACK): {"A": 1}} if back else {})
    letters = {ID: Correspondence(ID, mails={"receipt": "sent"})}
    if mailed:
        letters[BACK] = Correspondence(BACK, mails={"refund": "sent"})
    given: dict[str, Any] = {
        "now": NOW,
        "orders": {ID: order},
        "told": {ID: frozenset({"order.paid"})},
        "holds": {ID: hold},
        "payments": {ID: captured()},
        "refunds": {refund.refund_id: refund for refund in refunds},
        "letters_to": letters,
        **more,
    }
    return Seen(**given)


def refund(state: Any = "refunded", **more: Any) -> Refund:
    return Refund(BACK, ID, 250, "return", state, **more)


def only(look: Seen) -> Finding:
    [finding] = stuck(look, PATIENCE)
    return finding


def test_a_return_that_is_only_requested_stands_in_nobodys_way_and_is_told(order: Order) -> None:
    look = seen(order)
    assert stuck(look, PATIENCE) == []
    assert waits_for(look, order) == []
    assert to_receive(order) == [f"the goods of return {BACK}, requested 01 Jan 12:00 UTC, to be received"]


@pytest.mark.parametrize(
    ("refunds", "back", "waits"),
    [
        (
            [],
            False,
            ["payment to hear order.returned and refund", "product to hear order.returned and restock"],
        ),
        ([], True, ["payment to hear order.returned and refund", "order to hear stock.returned of"]),
        ([refund()], True, ["order to hear payment.refunded_in_part of", "order to hear stock.returned of"]),
        ([refund("refunding")], True, ["the provider to refund", "order to hear stock.returned of"]),
        (
            [refund("covered")],
            True,
            ["order to hear that all of the money", "order to hear stock.returned of"],
        ),
    ],
)
def test_a_return_that_stands_tells_whom_it_waits_for(
    received: Order, refunds: list[Refund], back: bool, waits: list[str]
) -> None:
    look = seen(received, *refunds, back=back)
    said = sorted(waits_for(look, received))
    assert all(
        one.startswith(begins) and str(BACK) in one for one, begins in zip(said, sorted(waits), strict=True)
    )
    finding = only(look)
    assert (finding.kind, finding.order_id, finding.number) == ("return-stuck", ID, "K7Q2X-9XMDA")
    assert finding.next == f"shop saga nudge {ID} --why TEXT"
    assert stuck(replace(look, now=CREATED), PATIENCE) == []


def test_a_return_that_is_done_stands_no_more(received: Order) -> None:
    done(received)
    assert stuck(seen(received, refund(), back=True), PATIENCE) == []
    view = {
        "number": "K7Q2X-9XMDA",
        "order_id": ID,
        "status": "paid",
        "total": {"amount": 500, "currency": "GBP"},
    }
    view |= {"fulfilled_at": "x", "refunded": {"amount": 250, "currency": "GBP"}}
    assert title(view).endswith("paid, fulfilled, 5.00 GBP, 2.50 GBP refunded")


def done(order: Order) -> None:
    returning.note_restock(order, BACK, CREATED)
    amount = Money(amount=250, currency="GBP")
    returning.note_refund(
        order,
        PaymentRefundedInPart(order_id=ID, refund_id=BACK, payment_id="pi_1", amount=amount, by="return"),
        CREATED,
    )


def test_a_refund_that_nobody_was_mailed_about_is_found(received: Order) -> None:
    done(received)
    finding = only(seen(received, refund(), back=True, mailed=False))
    assert finding.kind == "letter-not-written"
    assert "refunded in part" in finding.means


@pytest.mark.parametrize(
    ("failed", "means"),
    [
        (refund("refund_failed", code="balance_insufficient", refused=2), "2.50 GBP (return"),
        (refund("refund_failed", code="balance_insufficient", refused=2), "2×: balance_insufficient"),
        (refund("refund_failed", code="x", refund_at=NOW + timedelta(hours=1)), "until 01 Jan 13:10 UTC"),
        (refund("refund_failed", code=MORE_THAN_IS_LEFT), "other refunds have left less than"),
        (refund("refund_failed", code="amount_mismatch"), "another amount than"),
    ],
)
def test_a_refused_refund_is_named_with_what_to_do(received: Order, failed: Refund, means: str) -> None:
    returning.note_restock(received, BACK, CREATED)
    finding = only(seen(received, failed, back=True))
    assert finding.kind == "refund-failed"
    assert means in finding.means
    assert "dashboard" in finding.means or f"refund_id={BACK}" in finding.means
    assert finding.next == f"shop saga nudge {ID} --why TEXT"


def test_a_refused_refund_does_not_hide_goods_that_are_not_restocked(received: Order) -> None:
    failed = refund("refund_failed", code="x")
    returning.give_back(received, OTHER, CREATED, wanted=[], amount=100, restock=False)
    found = stuck(seen(received, failed), PATIENCE)
    assert sorted(finding.kind for finding in found) == ["refund-failed", "return-stuck"]


def test_a_nudge_tells_what_will_be_published_again(received: Order) -> None:
    look = seen(received, refund(), back=True)
    assert preview(look, ID) == {
        "order": ["order.fulfilled", "order.returned"],
        "product": ["stock.returned"],
        "payment": ["order.paid", "payment.refunded_in_part"],
    }


def test_what_is_about_a_refund_is_about_its_order(received: Order) -> None:
    done(received)
    call = CallSeen("payment", "refund_part", BACK, CREATED, 3, "gone", about=ID)
    mail = MailSeen(f"refund:{BACK}", "refund", BACK, "rejected", "550", CREATED, 0, order_id=ID)
    unsaid = UnsaidSeen("order", "order.returned", BACK, CREATED, CREATED, order_id=ID)
    look = seen(received, refund(), back=True, calls=(call,), undeliverable=(mail,), unsaid=(unsaid,))
    found = stuck(look, PATIENCE)
    assert {finding.order_id for finding in found} == {ID}
    assert {finding.kind for finding in found} == {"outcome-unknown", "mail-rejected", "not-published"}
