"""The steps over the chassis' harness: each one's way, its crossings and its repeats."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from chassis.saga.event import event_id
from chassis.testing import Harness
from contracts import (
    Event,
    Line,
    Money,
    OrderCancelled,
    OrderPaid,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    SagaNudged,
    ShortLine,
    StockRejected,
    StockReleased,
    StockReserved,
)
from order import saga
from order.domain import Impossible, Order
from order.story import TimelineEntry

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = UUID(int=1)
TOTAL = Money(amount=500, currency="GBP")
LINES = (Line(sku="A", name="Red lantern", quantity=2, unit_price=250),)
SHORT = (ShortLine(sku="A", wanted=2, available=1),)

PAID = OrderPaid(
    order_id=ID, shopper_id=UUID(int=2), contact="sealed", lines=LINES, total=TOTAL, payment_id="pi_1"
)
REJECTED = StockRejected(order_id=ID, short=SHORT)
DECLINED = PaymentDeclined(order_id=ID, code="insufficient_funds", decline_reason="insufficient_funds")
RELEASED = StockReleased(order_id=ID, restocked=False)
VOIDED = PaymentVoided(order_id=ID, payment_id="pi_1")
REFUNDED = PaymentRefunded(order_id=ID, payment_id="pi_1", contact="sealed", total=TOTAL)


def new_order() -> Order:
    return Order(
        order_id=ID,
        shopper_id=UUID(int=2),
        lines=LINES,
        total=500,
        currency="GBP",
        payment_method="pm_card_visa",
        contact="sealed",
        created_at=NOW,
        deadline=NOW + timedelta(minutes=15),
    )


@pytest.fixture
def pending() -> Harness:
    harness = Harness(saga.steps, now=NOW)
    harness.put(new_order())
    return harness


@pytest.fixture
def withdrawn() -> Harness:
    order = new_order()
    order.withdraw(NOW)
    harness = Harness(saga.steps, now=NOW)
    harness.put(order)
    return harness


def order_in(harness: Harness) -> Order:
    order = harness.row(Order, ID)
    assert order is not None
    return order


def said(harness: Harness) -> list[tuple[str, str]]:
    return [(event.type, getattr(event, "reason", "")) for event in harness.published]


async def test_an_order_that_is_paid_is_marked_paid_and_nothing_is_said(pending: Harness) -> None:
    await pending.consume(PAID)
    assert (order_in(pending).status, order_in(pending).payment_id) == ("paid", "pi_1")
    assert said(pending) == []


async def test_an_order_that_is_short_of_stock_is_cancelled_with_what_was_missing(pending: Harness) -> None:
    await pending.consume(REJECTED)
    assert (order_in(pending).status, order_in(pending).short) == ("cancelled", SHORT)
    assert said(pending) == [("order.cancelled", "out_of_stock")]


async def test_an_order_whose_payment_is_declined_is_cancelled(pending: Harness) -> None:
    await pending.consume(DECLINED)
    assert order_in(pending).reason == "payment_declined"
    assert said(pending) == [("order.cancelled", "payment_declined")]


def in_part(amount: int, refund_id: UUID, by: str) -> PaymentRefundedInPart:
    money = Money(amount=amount, currency="GBP")
    return PaymentRefundedInPart(order_id=ID, refund_id=refund_id, payment_id="pi_1", amount=money, by=by)


FAILED = PaymentRefundFailed(
    order_id=ID,
    refund_id=UUID(int=8),
    payment_id="pi_1",
    amount=Money(amount=300, currency="GBP"),
    code="expired_or_canceled_card",
)


@pytest.mark.parametrize("heard", [*permutations([in_part(300, UUID(int=8), "provider"), FAILED])])
async def test_what_was_refunded_elsewhere_and_came_back_is_not_the_shoppers(
    pending: Harness, heard: tuple[Event, ...]
) -> None:
    await pending.consume(PAID, *heard)
    pending.inbox.clear()
    await pending.consume(*heard)
    order = order_in(pending)
    assert (order.status, order.refunded) == ("paid", 0)
    (failed,) = order.late_refunds
    assert (failed.amount, failed.code) == (300, "expired_or_canceled_card")


@pytest.mark.parametrize(
    "heard",
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
async def test_all_that_came_back_and_went_back_again_is_the_shoppers(
    withdrawn: Harness, heard: tuple[Event, ...]
) -> None:
    await withdrawn.consume(*heard)
    order = order_in(withdrawn)
    assert (order.refunded, order.refunded_at is not None) == (500, True)


async def test_what_came_back_of_a_cancelled_order_is_not_the_shoppers(withdrawn: Harness) -> None:
    await withdrawn.consume(REFUNDED, FAILED.model_copy(update={"amount": TOTAL}))
    assert order_in(withdrawn).refunded == 0


def disputed(status: str, minutes: int) -> PaymentDisputed:
    return PaymentDisputed(
        order_id=ID,
        dispute_id=UUID(int=7),
        payment_id="pi_1",
        amount=TOTAL,
        reason="fraudulent",
        status=status,
        noted_at=NOW + timedelta(minutes=minutes),
    )


@pytest.mark.parametrize("heard", [*permutations([("needs_response", 1), ("under_review", 2), ("lost", 3)])])
async def test_an_order_shows_how_a_dispute_stands_in_whatever_order_it_hears_of_it(
    pending: Harness, heard: tuple[tuple[str, int], ...]
) -> None:
    await pending.consume(*(disputed(*one) for one in heard))
    (dispute,) = order_in(pending).disputes
    assert (dispute.status, dispute.amount) == ("lost", TOTAL.amount)
    assert (order_in(pending).status, said(pending)) == ("pending", [])


async def test_why_a_payment_was_declined_is_kept_and_said(pending: Harness) -> None:
    await pending.consume(DECLINED)
    assert order_in(pending).decline_reason == "insufficient_funds"
    [cancelled] = pending.published
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.decline_reason == "insufficient_funds"


async def test_an_order_that_is_short_and_declined_is_cancelled_once_for_what_came_first() -> None:
    for first, second in ((REJECTED, DECLINED), (DECLINED, REJECTED)):
        harness = Harness(saga.steps, now=NOW)
        harness.put(new_order())
        await harness.consume(first, second)
        assert len(harness.published) == 1
        assert order_in(harness).reason == ("out_of_stock" if first is REJECTED else "payment_declined")


async def test_a_cancelled_order_that_turns_out_paid_stays_cancelled_in_silence(withdrawn: Harness) -> None:
    await withdrawn.consume(PAID)
    assert (order_in(withdrawn).status, order_in(withdrawn).paid_at) == ("cancelled", None)
    assert said(withdrawn) == []


async def test_what_was_undone_is_noted_in_whatever_order_it_is_heard() -> None:
    for money in (VOIDED, REFUNDED):
        for news in permutations([RELEASED, money, *([PAID] if money is REFUNDED else [])]):
            harness = Harness(saga.steps, now=NOW)
            order = new_order()
            order.withdraw(NOW)
            harness.put(order)
            await harness.consume(*news)
            noted = order_in(harness)
            assert noted.stock_released_at == NOW
            assert (noted.voided_at or noted.refunded_at) == NOW
            assert (noted.voided_at is None) != (noted.refunded_at is None)
            assert said(harness) == []


@pytest.mark.parametrize("event", [PAID, REJECTED, DECLINED], ids=lambda event: event.type)
async def test_a_redelivery_changes_nothing(pending: Harness, event: Event) -> None:
    await pending.consume(event)
    once = (asdict(order_in(pending)), said(pending))
    await pending.consume(event)
    pending.inbox.clear()  # even where the inbox has forgotten
    await pending.consume(event)
    assert (asdict(order_in(pending)), said(pending)) == once


@pytest.mark.parametrize("event", [RELEASED, VOIDED, REFUNDED], ids=lambda event: event.type)
async def test_undoing_what_is_paid_is_left_to_an_operator(pending: Harness, event: Event) -> None:
    await pending.consume(PAID)
    with pytest.raises(Impossible):
        await pending.consume(event)


@pytest.mark.parametrize("back", [VOIDED, REFUNDED], ids=lambda event: event.type)
async def test_a_decline_may_come_after_the_money_is_back(pending: Harness, back: Event) -> None:
    await pending.consume(back, DECLINED)
    order = order_in(pending)
    assert (order.status, order.reason) == ("cancelled", "payment_declined")
    assert (order.voided_at or order.refunded_at) == NOW


@pytest.mark.parametrize("event", [PAID, REJECTED, DECLINED, RELEASED], ids=lambda event: event.type)
async def test_news_of_an_order_that_does_not_exist_are_left_to_an_operator(event: Event) -> None:
    with pytest.raises(Impossible, match="no order"):
        await Harness(saga.steps).consume(event)


def every_event() -> list[Event]:
    order = new_order()
    created = order.created()
    [cancelled] = order.run_short(SHORT, NOW)
    return [
        created,
        StockReserved(order_id=ID),
        REJECTED,
        PaymentAuthorized(order_id=ID, payment_id="pi_1", total=TOTAL),
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
async def told() -> dict[str, TimelineEntry]:
    harness = Harness(saga.timeline, now=NOW)
    await harness.consume(*every_event(), *every_event())
    assert harness.published == []
    return {row.type: row for row in harness.rows.values()}


def test_the_timeline_hears_every_event_of_the_saga(told: dict[str, TimelineEntry]) -> None:
    assert set(told) == {event.type for event in every_event()}
    assert {entry.event_id for entry in told.values()} == {event_id(event) for event in every_event()}
    assert all(entry.order_id == ID and entry.time == NOW for entry in told.values())


def test_the_timeline_says_why_an_order_ended(told: dict[str, TimelineEntry]) -> None:
    short = [{"sku": "A", "wanted": 2, "available": 1}]
    assert told["order.cancelled"].data == {"reason": "out_of_stock", "was_paid": False, "short": short}
    assert told["stock.rejected"].data == {"short": short}
    why = "insufficient_funds"
    assert told["payment.declined"].data == {"code": why, "decline_reason": why}


def test_the_timeline_keeps_no_contact(told: dict[str, TimelineEntry]) -> None:
    assert all("sealed" not in str(vars(entry)) for entry in told.values())


def test_each_step_says_in_the_saga_table_what_it_does() -> None:
    for steps in saga.participant.steps:
        for step in steps:
            assert step.summary.endswith(".")


async def test_a_nudge_has_the_order_said_again(pending: Harness, withdrawn: Harness) -> None:
    for harness, said in ((pending, "order.created"), (withdrawn, "order.cancelled")):
        before = asdict(order_in(harness))
        for nudge in range(2):
            await harness.consume(SagaNudged(order_id=ID, nudge_id=UUID(int=nudge)))
        assert [event.type for event in harness.published] == [said, said]
        assert asdict(order_in(harness)) == before


async def test_a_nudge_for_an_order_that_nobody_placed_reaches_an_operator(pending: Harness) -> None:
    with pytest.raises(Impossible, match="no order"):
        await pending.consume(SagaNudged(order_id=UUID(int=9), nudge_id=UUID(int=9)))
