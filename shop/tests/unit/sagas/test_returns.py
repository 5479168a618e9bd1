"""Returns that are stuck are reported with who has to do what next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.testing import gbp, payment_refunded_in_part
from notification.domain import Correspondence
from order import returning
from order.domain import Order
from order.pricing import Wanted
from payment.refunds import MORE_THAN_IS_LEFT, Refund
from product.domain import Hold
from shop.diagram import title
from shop.sagas.issues import stuck
from shop.sagas.returns import to_receive
from shop.sagas.snapshot import Issue, OpenCall, Snapshot, UndeliveredMail, UnpublishedEvent
from shop.sagas.waiting import preview, waits_for

from .conftest import CREATED, ID, NOW, THRESHOLD, new_order, payment

BACK, OTHER = UUID(int=11), UUID(int=12)


@pytest.fixture
def order() -> Order:
    """Fulfilled; a piece of it is to come back."""
    one = new_order("paid")
    one.number = "K7Q2X-9XMDA"
    one.fulfil(CREATED)
    returning.request(one, BACK, [Wanted("A", 1)], CREATED, None)
    return one


@pytest.fixture
def received(order: Order) -> Order:
    returning.receive(order, BACK, CREATED)
    return order


def snapshot_of(
    order: Order, *refunds: Refund, back: bool = False, mailed: bool = True, **more: Any
) -> Snapshot:
    hold = Hold(ID, "sold", {"A": 2}, returned={str(BACK): {"A": 1}} if back else {})
    correspondence = {ID: Correspondence(ID, mails={"receipt": "sent"})}
    if mailed:
        correspondence[BACK] = Correspondence(BACK, mails={"refund": "sent"})
    given: dict[str, Any] = {
        "now": NOW,
        "orders": {ID: order},
        "timelines": {ID: frozenset({"order.paid"})},
        "holds": {ID: hold},
        "payments": {ID: payment("captured")},
        "refunds": {refund.refund_id: refund for refund in refunds},
        "correspondence": correspondence,
        **more,
    }
    return Snapshot(**given)


def refund(state: Any = "refunded", **more: Any) -> Refund:
    return Refund(BACK, ID, 250, "return", state, **more)


def only(snapshot: Snapshot) -> Issue:
    [issue] = stuck(snapshot, THRESHOLD)
    return issue


def test_a_requested_return_blocks_nothing_and_is_listed_for_staff(order: Order) -> None:
    snapshot = snapshot_of(order)
    assert stuck(snapshot, THRESHOLD) == []
    assert waits_for(snapshot, order) == []
    assert to_receive(order) == [f"the goods of return {BACK}, requested 01 Jan 12:00 UTC, to be received"]


@pytest.mark.parametrize(
    ("refunds", "back", "waits"),
    [
        (
            [],
            False,
            ["payment to consume order.returned and refund", "product to consume order.returned and restock"],
        ),
        ([], True, ["payment to consume order.returned and refund", "order to consume stock.returned of"]),
        (
            [refund()],
            True,
            ["order to consume payment.refunded_in_part of", "order to consume stock.returned of"],
        ),
        ([refund("refunding")], True, ["the provider to refund", "order to consume stock.returned of"]),
        (
            [refund("covered")],
            True,
            ["order to consume that all money was refunded", "order to consume stock.returned of"],
        ),
    ],
)
def test_a_stuck_return_is_reported_with_what_it_waits_for(
    received: Order, refunds: list[Refund], back: bool, waits: list[str]
) -> None:
    snapshot = snapshot_of(received, *refunds, back=back)
    awaited = sorted(waits_for(snapshot, received))
    assert all(
        one.startswith(begins) and str(BACK) in one
        for one, begins in zip(awaited, sorted(waits), strict=True)
    )
    issue = only(snapshot)
    assert (issue.kind, issue.order_id, issue.number) == ("return-stuck", ID, "K7Q2X-9XMDA")
    assert issue.next == f"shop saga nudge {ID} --why TEXT"
    assert stuck(replace(snapshot, now=CREATED), THRESHOLD) == []


def test_a_completed_return_is_not_stuck(received: Order) -> None:
    done(received)
    assert stuck(snapshot_of(received, refund(), back=True), THRESHOLD) == []
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
    refunded = payment_refunded_in_part(order_id=ID, refund_id=BACK, amount=gbp(250))
    returning.note_refund(order, refunded, CREATED)


def test_a_refund_without_a_mail_is_found(received: Order) -> None:
    done(received)
    issue = only(snapshot_of(received, refund(), back=True, mailed=False))
    assert issue.kind == "letter-not-written"
    assert "refunded in part" in issue.means


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
def test_a_refused_refund_is_reported_with_what_to_do(received: Order, failed: Refund, means: str) -> None:
    returning.note_restock(received, BACK, CREATED)
    issue = only(snapshot_of(received, failed, back=True))
    assert issue.kind == "refund-failed"
    assert means in issue.means
    assert "dashboard" in issue.means or f"refund_id={BACK}" in issue.means
    assert issue.next == f"shop saga nudge {ID} --why TEXT"


def test_a_refused_refund_does_not_hide_goods_that_are_not_restocked(received: Order) -> None:
    failed = refund("refund_failed", code="x")
    returning.refund_by_staff(received, OTHER, CREATED, wanted=[], amount=100, restock=False)
    found = stuck(snapshot_of(received, failed), THRESHOLD)
    assert sorted(issue.kind for issue in found) == ["refund-failed", "return-stuck"]


def test_a_preview_lists_the_returns_events(received: Order) -> None:
    snapshot = snapshot_of(received, refund(), back=True)
    assert preview(snapshot, ID) == {
        "order": ["order.fulfilled", "order.returned"],
        "product": ["stock.returned"],
        "payment": ["order.paid", "payment.refunded_in_part"],
    }


def test_issues_of_a_refund_name_its_order(received: Order) -> None:
    done(received)
    call = OpenCall("payment", "refund_part", BACK, CREATED, 3, "gone", about=ID)
    mail = UndeliveredMail(f"refund:{BACK}", "refund", BACK, "rejected", "550", CREATED, 0, order_id=ID)
    unpublished = UnpublishedEvent("order", "order.returned", BACK, CREATED, CREATED, order_id=ID)
    snapshot = snapshot_of(
        received, refund(), back=True, calls=(call,), undeliverable=(mail,), unpublished=(unpublished,)
    )
    found = stuck(snapshot, THRESHOLD)
    assert {issue.order_id for issue in found} == {ID}
    assert {issue.kind for issue in found} == {"outcome-unknown", "mail-rejected", "not-published"}
