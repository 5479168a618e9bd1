"""The steps in the chassis' harness: each outcome, events that cross, and redeliveries."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from chassis.saga.tx import event_id
from chassis.testing import Harness
from contracts import (
    Event,
    Line,
    Money,
    OrderCancelled,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefundedInPart,
    ShortLine,
)
from contracts.testing import (
    order_paid,
    payment_authorized,
    payment_disputed,
    payment_refund_failed,
    payment_refunded,
    payment_refunded_in_part,
    payment_voided,
    saga_nudged,
    stock_rejected,
    stock_released,
    stock_reserved,
)
from order import events, saga
from order.domain import Order
from order.errors import Impossible
from order.timeline import TimelineEntry

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = UUID(int=1)
TOTAL = Money(amount=500, currency="GBP")
LINES = (Line(sku="A", name="Red lantern", quantity=2, unit_price=250),)
SHORT = (ShortLine(sku="A", wanted=2, available=1),)

PAID = order_paid(
    order_id=ID, shopper_id=UUID(int=2), contact="encrypted", lines=LINES, total=TOTAL, payment_id="pi_1"
)
REJECTED = stock_rejected(order_id=ID, short=SHORT)
DECLINED = PaymentDeclined(order_id=ID, code="insufficient_funds", decline_reason="insufficient_funds")
RELEASED = stock_released(order_id=ID, restocked=False)
VOIDED = payment_voided(order_id=ID)
REFUNDED = payment_refunded(order_id=ID, contact="encrypted", total=TOTAL)


def new_order() -> Order:
    return Order(
        order_id=ID,
        shopper_id=UUID(int=2),
        lines=LINES,
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="encrypted",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
    )


@pytest.fixture
def pending() -> Harness:
    harness = Harness(saga.steps, now=NOW)
    harness.put(new_order())
    return harness


@pytest.fixture
def cancelled() -> Harness:
    order = new_order()
    order.cancel(NOW)
    harness = Harness(saga.steps, now=NOW)
    harness.put(order)
    return harness


def order_in(harness: Harness) -> Order:
    order = harness.row(Order, ID)
    assert order is not None
    return order


def published(harness: Harness) -> list[tuple[str, str]]:
    return [(event.type, getattr(event, "reason", "")) for event in harness.published]


async def test_a_paid_order_is_marked_paid_and_nothing_is_published(pending: Harness) -> None:
    await pending.consume(PAID)
    assert (order_in(pending).status, order_in(pending).payment_id) == ("paid", "pi_1")
    assert published(pending) == []


async def test_an_order_that_is_short_of_stock_is_cancelled_with_what_was_missing(pending: Harness) -> None:
    await pending.consume(REJECTED)
    assert (order_in(pending).status, order_in(pending).short) == ("cancelled", SHORT)
    assert published(pending) == [("order.cancelled", "out_of_stock")]


async def test_an_order_whose_payment_is_declined_is_cancelled(pending: Harness) -> None:
    await pending.consume(DECLINED)
    assert order_in(pending).reason == "payment_declined"
    assert published(pending) == [("order.cancelled", "payment_declined")]


def in_part(amount: int, refund_id: UUID, by: str) -> PaymentRefundedInPart:
    money = Money(amount=amount, currency="GBP")
    return payment_refunded_in_part(order_id=ID, refund_id=refund_id, amount=money, by=by)


FAILED = payment_refund_failed(
    order_id=ID,
    refund_id=UUID(int=8),
    amount=Money(amount=300, currency="GBP"),
    code="expired_or_canceled_card",
)


@pytest.mark.parametrize("events", [*permutations([in_part(300, UUID(int=8), "provider"), FAILED])])
async def test_a_failed_refund_from_the_provider_does_not_count_as_refunded(
    pending: Harness, events: tuple[Event, ...]
) -> None:
    await pending.consume(PAID, *events)
    pending.inbox.clear()
    await pending.consume(*events)
    order = order_in(pending)
    assert (order.status, order.refunded) == ("paid", 0)
    (failed,) = order.late_refunds
    assert (failed.amount, failed.code) == (300, "expired_or_canceled_card")


@pytest.mark.parametrize(
    "events",
    [
        *permutations(
            [
                REFUNDED,
                FAILED.model_copy(update={"amount": TOTAL}),
                in_part(500, UUID(int=9), "again"),
            ]
        )
    ],
)
async def test_a_failed_refund_that_was_made_again_counts_as_refunded(
    cancelled: Harness, events: tuple[Event, ...]
) -> None:
    await cancelled.consume(*events)
    order = order_in(cancelled)
    assert (order.refunded, order.refunded_at is not None) == (500, True)


async def test_a_failed_refund_of_a_cancelled_order_does_not_count_as_refunded(cancelled: Harness) -> None:
    await cancelled.consume(REFUNDED, FAILED.model_copy(update={"amount": TOTAL}))
    assert order_in(cancelled).refunded == 0


def disputed(status: str, minutes: int) -> PaymentDisputed:
    return payment_disputed(
        order_id=ID,
        dispute_id=UUID(int=7),
        amount=TOTAL,
        reason="fraudulent",
        status=status,
        noted_at=NOW + timedelta(minutes=minutes),
    )


@pytest.mark.parametrize("events", [*permutations([("needs_response", 1), ("under_review", 2), ("lost", 3)])])
async def test_an_order_shows_the_latest_status_of_a_dispute_in_any_order_of_events(
    pending: Harness, events: tuple[tuple[str, int], ...]
) -> None:
    await pending.consume(*(disputed(*one) for one in events))
    (dispute,) = order_in(pending).disputes
    assert (dispute.status, dispute.amount) == ("lost", TOTAL.amount)
    assert (order_in(pending).status, published(pending)) == ("pending", [])


async def test_the_decline_reason_is_stored_and_published(pending: Harness) -> None:
    await pending.consume(DECLINED)
    assert order_in(pending).decline_reason == "insufficient_funds"
    [event] = pending.published
    assert isinstance(event, OrderCancelled)
    assert event.decline_reason == "insufficient_funds"


async def test_an_order_out_of_stock_and_declined_is_cancelled_once_for_the_first() -> None:
    for first, second in ((REJECTED, DECLINED), (DECLINED, REJECTED)):
        harness = Harness(saga.steps, now=NOW)
        harness.put(new_order())
        await harness.consume(first, second)
        assert len(harness.published) == 1
        assert order_in(harness).reason == ("out_of_stock" if first is REJECTED else "payment_declined")


async def test_a_cancelled_order_that_is_paid_publishes_nothing(
    cancelled: Harness,
) -> None:
    await cancelled.consume(PAID)
    assert (order_in(cancelled).status, order_in(cancelled).paid_at) == ("cancelled", None)
    assert published(cancelled) == []


async def test_compensations_are_recorded_in_any_order_of_events() -> None:
    for money in (VOIDED, REFUNDED):
        for consumed in permutations([RELEASED, money, *([PAID] if money is REFUNDED else [])]):
            harness = Harness(saga.steps, now=NOW)
            order = new_order()
            order.cancel(NOW)
            harness.put(order)
            await harness.consume(*consumed)
            order_after = order_in(harness)
            assert order_after.stock_released_at == NOW
            assert (order_after.voided_at or order_after.refunded_at) == NOW
            assert (order_after.voided_at is None) != (order_after.refunded_at is None)
            assert published(harness) == []


@pytest.mark.parametrize("event", [PAID, REJECTED, DECLINED], ids=lambda event: event.type)
async def test_a_redelivery_changes_nothing(pending: Harness, event: Event) -> None:
    await pending.consume(event)
    once = (asdict(order_in(pending)), published(pending))
    await pending.consume(event)
    pending.inbox.clear()  # even if the inbox no longer has it
    await pending.consume(event)
    assert (asdict(order_in(pending)), published(pending)) == once


@pytest.mark.parametrize("event", [RELEASED, VOIDED, REFUNDED], ids=lambda event: event.type)
async def test_a_compensation_of_a_paid_order_is_impossible(pending: Harness, event: Event) -> None:
    await pending.consume(PAID)
    with pytest.raises(Impossible):
        await pending.consume(event)


@pytest.mark.parametrize("back", [VOIDED, REFUNDED], ids=lambda event: event.type)
async def test_a_decline_may_arrive_after_the_refund(pending: Harness, back: Event) -> None:
    await pending.consume(back, DECLINED)
    order = order_in(pending)
    assert (order.status, order.reason) == ("cancelled", "payment_declined")
    assert (order.voided_at or order.refunded_at) == NOW


@pytest.mark.parametrize("event", [PAID, REJECTED, DECLINED, RELEASED], ids=lambda event: event.type)
async def test_an_event_about_an_unknown_order_is_impossible(event: Event) -> None:
    with pytest.raises(Impossible, match="no order"):
        await Harness(saga.steps).consume(event)


def every_event() -> list[Event]:
    order = new_order()
    created = events.created(order)
    [cancelled] = order.cancel_out_of_stock(SHORT, NOW)
    return [
        created,
        stock_reserved(order_id=ID),
        REJECTED,
        payment_authorized(order_id=ID, total=TOTAL),
        DECLINED,
        PAID,
        cancelled,
        RELEASED,
        VOIDED,
        REFUNDED,
        disputed("lost", 3),
        FAILED,
    ]


@pytest.fixture
async def timeline() -> dict[str, TimelineEntry]:
    harness = Harness(saga.timeline, now=NOW)
    await harness.consume(*every_event(), *every_event())
    assert harness.published == []
    return {row.type: row for row in harness.rows.values()}


def test_the_timeline_has_every_event_of_the_saga(timeline: dict[str, TimelineEntry]) -> None:
    assert set(timeline) == {event.type for event in every_event()}
    assert {entry.event_id for entry in timeline.values()} == {event_id(event) for event in every_event()}
    assert all(entry.order_id == ID and entry.time == NOW for entry in timeline.values())


def test_the_timeline_shows_why_an_order_ended(timeline: dict[str, TimelineEntry]) -> None:
    short = [{"sku": "A", "wanted": 2, "available": 1}]
    assert timeline["order.cancelled"].data == {"reason": "out_of_stock", "was_paid": False, "short": short}
    assert timeline["stock.rejected"].data == {"short": short}
    why = "insufficient_funds"
    assert timeline["payment.declined"].data == {"code": why, "decline_reason": why}


def test_the_timeline_has_no_contact(timeline: dict[str, TimelineEntry]) -> None:
    assert all("encrypted" not in str(vars(entry)) for entry in timeline.values())


def test_each_step_has_a_summary_for_the_saga_table() -> None:
    for steps in saga.participant.steps:
        for step in steps:
            assert step.summary.endswith(".")


async def test_a_nudge_republishes_the_orders_event(pending: Harness, cancelled: Harness) -> None:
    for harness, type_ in ((pending, "order.created"), (cancelled, "order.cancelled")):
        before = asdict(order_in(harness))
        for nudge in range(2):
            await harness.consume(saga_nudged(order_id=ID, nudge_id=UUID(int=nudge)))
        assert [event.type for event in harness.published] == [type_, type_]
        assert asdict(order_in(harness)) == before


async def test_a_nudge_for_an_unknown_order_is_impossible(pending: Harness) -> None:
    with pytest.raises(Impossible, match="no order"):
        await pending.consume(saga_nudged(order_id=UUID(int=9), nudge_id=UUID(int=9)))


def test_order_publishes_only_its_own_events() -> None:
    assert saga.participant.published_keys() == [
        "order.anonymised",
        "order.cancelled",
        "order.created",
        "order.fulfilled",
        "order.refund_settled",
        "order.returned",
        "saga.nudged",
    ]
    assert [steps.queue for steps in saga.participant.steps] == ["order", "order.timeline"]
