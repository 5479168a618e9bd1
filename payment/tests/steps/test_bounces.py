"""Refunds that somebody has made at the provider, and refunds that bounced after they had succeeded."""

from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from chassis.testing import Harness
from contracts import (
    Money,
    OrderCancelled,
    OrderCreated,
    OrderRefundSettled,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    StockReserved,
)
from contracts.testing import CONTACT, ORDER_ID, TOTAL, gbp, order_returned, saga_nudged
from payment import bounces, stripe_requests
from payment.bounces import MAX_REPEATS
from payment.domain import Impossible, Payment
from payment.lookups import Found, FoundRefund
from payment.outcomes import Authorized, Captured, Outcome, PartRefunded, Refunded, RefundRefused
from payment.refunds import Refund
from payment.saga import intents, steps

PART = UUID(int=1)


@pytest.fixture
async def saga(created: OrderCreated, reserved: StockReserved) -> Harness:
    """Payment, with a paid order."""
    saga = Harness(steps, intents=intents)
    await saga.consume(created, reserved)
    await saga.settle("authorize", ORDER_ID, Authorized("pi_1", TOTAL))
    await saga.settle("capture", ORDER_ID, Captured(TOTAL))
    saga.published.clear()
    return saga


@pytest.fixture
async def refunded(saga: Harness, cancelled: OrderCancelled) -> Harness:
    """Payment, with a cancelled order whose money was refunded."""
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(TOTAL))
    saga.published.clear()
    return saga


def elsewhere(name: str, amount: int, status: str = "succeeded", currency: str = "GBP") -> FoundRefund:
    money = Money(amount=amount, currency=currency)
    return FoundRefund(
        name, "pi_1", money, status, "expired_or_canceled_card" if status == "failed" else None
    )


def ours(name: str, amount: int, status: str = "succeeded", part: UUID | None = None) -> FoundRefund:
    return FoundRefund(
        name,
        "pi_1",
        gbp(amount),
        status,
        "expired_or_canceled_card" if status == "failed" else None,
        str(ORDER_ID),
        str(part) if part else None,
    )


async def look_up(saga: Harness, *refunds: FoundRefund) -> None:
    """A lookup finds these refunds, the newest first, as the provider lists them."""

    async def intend_lookup(tx: Any) -> None:
        payment = await tx.get(Payment, ORDER_ID)
        payment.news += 1
        tx.intend(stripe_requests.lookup_intent(ORDER_ID, "pi_1", payment.news))

    await saga.run(intend_lookup)
    await saga.settle(
        "look", ORDER_ID, Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), refunds[::-1])
    )


def payment(saga: Harness) -> Payment:
    found = saga.row(Payment, ORDER_ID)
    assert found is not None
    return found


def rows(saga: Harness) -> dict[str, Refund]:
    """The refunds, by who decided them."""
    return {row.by: row for row in saga.rows.values() if isinstance(row, Refund)}


def published(saga: Harness) -> list[tuple[str, str | None]]:
    """The type of each event, and who decided or why."""
    return [
        (event.type, getattr(event, "by", None) or getattr(event, "code", None)) for event in saga.published
    ]


async def returned(saga: Harness, amount: int = 500) -> None:
    await saga.consume(order_returned(return_id=PART, lines=(), amount=gbp(amount)))
    await saga.settle(stripe_requests.REFUND_PART, PART, PartRefunded(gbp(amount)))


async def test_a_refund_at_the_provider_is_published_once_and_reduces_what_is_left(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    for _ in range(2):
        await look_up(saga, elsewhere("re_1", 300))

    (event,) = saga.published
    assert isinstance(event, PaymentRefundedInPart)
    assert (event.by, event.amount, event.contact) == ("provider", gbp(300), CONTACT)
    assert payment(saga).left == 1700
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(gbp(1700)))
    assert [one.type for one in saga.published] == ["payment.refunded_in_part", "payment.refunded"]


async def test_the_shops_own_refunds_publish_nothing_more(saga: Harness) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, part=PART))
    assert [event.type for event in saga.published] == ["payment.refunded_in_part"]


@pytest.mark.parametrize("status", ["pending", "requires_action", "failed", "canceled"])
async def test_a_refund_at_the_provider_counts_once_it_has_succeeded(saga: Harness, status: str) -> None:
    await look_up(saga, elsewhere("re_1", 300, status))
    assert saga.published == []
    assert payment(saga).left == 2000


async def test_a_full_refund_at_the_provider_leaves_nothing_to_refund(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await look_up(saga, elsewhere("re_1", 2000))
    await saga.consume(cancelled)
    assert payment(saga).state == "refunded"
    assert [event.type for event in saga.published] == ["payment.refunded_in_part", "payment.refunded"]
    assert not saga.intended


async def test_a_refund_of_less_than_is_left_is_looked_up_before_it_is_published(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    """Somebody has refunded a part at the provider, and its webhook was lost."""
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(gbp(1700)))
    assert saga.published == []
    assert list(saga.intended) == [f"look:{ORDER_ID}"]

    found = (ours("re_2", 1700), elsewhere("re_1", 300))
    await saga.settle("look", ORDER_ID, Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), found))
    assert [event.type for event in saga.published] == ["payment.refunded_in_part", "payment.refunded"]
    assert saga.published[1].total == gbp(1700)  # type: ignore[attr-defined]
    assert payment(saga).state == "refunded"


async def test_a_refund_of_less_than_was_requested_is_not_taken_for_all(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(gbp(1999)))
    found = (ours("re_1", 1999),)
    await saga.settle("look", ORDER_ID, Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), found))

    assert saga.published == []
    one = payment(saga)
    assert (one.state, one.code) == ("refund_failed", "refunded_short")
    await nudge(saga, 1)
    assert saga.published == [], "the order was paid, and not declined"
    assert one.refund_at is not None


async def test_a_refund_in_another_currency_is_ignored(saga: Harness) -> None:
    await look_up(saga, elsewhere("re_1", 300, currency="EUR"))
    assert saga.published == []


async def test_a_payment_refunded_completely_at_the_provider_is_looked_up(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(None))
    await saga.settle(
        "look", ORDER_ID, Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), (elsewhere("re_1", 2000),))
    )
    assert payment(saga).state == "refunded"
    assert [event.type for event in saga.published] == ["payment.refunded_in_part", "payment.refunded"]


async def test_a_bounced_part_is_published_once_and_is_left_to_refund_again(saga: Harness) -> None:
    await returned(saga)
    saga.published.clear()
    for _ in range(2):
        await look_up(saga, ours("re_1", 500, "failed", PART))

    (event,) = saga.published
    assert isinstance(event, PaymentRefundFailed)
    assert (event.refund_id, event.amount, event.code) == (PART, gbp(500), "expired_or_canceled_card")
    assert (payment(saga).left, payment(saga).state) == (2000, "captured")
    assert rows(saga)["return"].state == "bounced"


async def test_a_bounced_full_refund_is_published_once(refunded: Harness) -> None:
    for _ in range(2):
        await look_up(refunded, ours("re_1", 2000, "failed"))

    (event,) = refunded.published
    assert isinstance(event, PaymentRefundFailed)
    assert (event.amount, event.number) == (TOTAL, "K7Q2X-9XMDA")
    one = payment(refunded)
    assert (one.state, one.refund_at) == ("refund_failed", None), "it is not retried automatically"


async def test_a_bounced_refund_of_the_provider_is_published(saga: Harness) -> None:
    await look_up(saga, elsewhere("re_1", 300))
    await look_up(saga, elsewhere("re_1", 300, "failed"))
    assert published(saga) == [
        ("payment.refunded_in_part", "provider"),
        ("payment.refund_failed", "expired_or_canceled_card"),
    ]
    assert payment(saga).left == 2000


async def nudge(saga: Harness, number: int) -> None:
    await saga.consume(saga_nudged(nudge_id=UUID(int=number)))


async def test_a_nudge_repeats_a_bounced_refund_under_its_own_id(refunded: Harness) -> None:
    await look_up(refunded, ours("re_1", 2000, "failed"))
    await nudge(refunded, 1)
    (again,) = [key for key in refunded.intended if key.startswith("refund_part:")]
    intent = refunded.intended[again]
    assert intent.payload["form"]["amount"] == 2000
    assert intent.payload["form"]["metadata"]["refund_id"] == str(intent.subject)

    refunded.published.clear()
    await refunded.settle(stripe_requests.REFUND_PART, intent.subject, PartRefunded(TOTAL))
    assert published(refunded) == [("payment.refunded_in_part", "again")]
    assert payment(refunded).state == "refunded"
    assert {row.state for row in rows(refunded).values()} == {"covered", "refunded"}


async def test_a_repeated_part_reduces_what_is_left_again(saga: Harness) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, "failed", PART))
    await nudge(saga, 1)
    assert payment(saga).left == 1500

    again = rows(saga)["again"]
    await saga.settle(stripe_requests.REFUND_PART, again.refund_id, RefundRefused("charge_disputed"))
    assert (rows(saga)["again"].state, payment(saga).left) == ("bounced", 2000)


def settled(refund_id: UUID, amount: int = 2000) -> OrderRefundSettled:
    return OrderRefundSettled(order_id=ORDER_ID, refund_id=refund_id, amount=gbp(amount))


async def test_a_settled_full_refund_is_not_repeated(refunded: Harness) -> None:
    await look_up(refunded, ours("re_1", 2000, "failed"))
    await refunded.consume(settled(rows(refunded)["order"].refund_id))
    assert (payment(refunded).state, rows(refunded)["order"].state) == ("refunded", "covered")
    refunded.published.clear()

    await nudge(refunded, 1)
    assert refunded.intended == {}
    assert published(refunded) == [("payment.refunded", None)]


async def test_a_settled_part_reduces_what_is_left(saga: Harness) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, "failed", PART))
    assert payment(saga).left == 2000
    await saga.consume(settled(PART, 500))
    assert (payment(saga).state, payment(saga).left) == ("captured", 1500)


async def test_a_bounced_refund_is_settled_together_with_its_repeats(saga: Harness) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, "failed", PART))
    await nudge(saga, 1)
    with pytest.raises(Impossible, match="while it is being repeated"):
        await saga.consume(settled(PART, 500))

    await saga.settle(
        stripe_requests.REFUND_PART, rows(saga)["again"].refund_id, RefundRefused("expired_or_canceled_card")
    )
    await saga.consume(settled(PART, 500))
    assert (rows(saga)["again"].state, payment(saga).left) == ("covered", 1500)


async def test_a_refund_that_was_repeated_and_settled_is_logged(saga: Harness) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, "failed", PART))
    await nudge(saga, 1)
    await saga.settle(stripe_requests.REFUND_PART, rows(saga)["again"].refund_id, PartRefunded(gbp(500)))
    with capture_logs() as logs:
        await saga.consume(settled(PART, 500))
    assert [one["event"] for one in logs] == ["refund settled although its repeat succeeded"]
    assert payment(saga).left == 1500


async def test_an_unknown_refund_is_not_settled(saga: Harness) -> None:
    with pytest.raises(Impossible):
        await saga.consume(settled(UUID(int=5)))


async def test_a_refund_is_not_repeated_too_often(refunded: Harness) -> None:
    await look_up(refunded, ours("re_1", 2000, "failed"))
    for number in range(MAX_REPEATS + 2):
        await nudge(refunded, number)
        for key in [one for one in refunded.intended if one.startswith("refund_part:")]:
            await refunded.settle(
                stripe_requests.REFUND_PART, UUID(key.partition(":")[2]), RefundRefused("charge_disputed")
            )

    assert len([row for row in refunded.rows.values() if isinstance(row, Refund)]) == MAX_REPEATS + 1
    assert payment(refunded).state == "refund_failed"


async def test_a_lookup_during_the_refund_leaves_the_decision_to_its_outcome(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    """A part has bounced in the meantime: less was refunded in all, and the rest is refunded a day later."""
    await returned(saga)
    await saga.consume(cancelled)
    found = (ours("re_1", 500, "failed", PART), ours("re_2", 1500))
    await look_up(saga, *found)
    assert payment(saga).state == "refunding"

    await saga.settle("refund", ORDER_ID, Refunded(gbp(1500)))
    await saga.settle("look", ORDER_ID, Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), found))
    one = payment(saga)
    assert (one.state, one.left) == ("refund_failed", 2000)
    assert one.refund_at is not None


async def test_a_bounced_part_is_not_repeated_while_the_rest_is_due(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await returned(saga)
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, RefundRefused("balance_insufficient"))
    await look_up(saga, ours("re_1", 500, "failed", PART))
    assert payment(saga).left == 2000, "it goes back with the rest"
    await nudge(saga, 1)
    assert not saga.intended


async def test_a_published_full_refund_stays_the_same_when_a_part_bounces(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await returned(saga)
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(gbp(1500)))
    (refunded,) = [event for event in saga.published if event.type == "payment.refunded"]
    await look_up(saga, ours("re_1", 500, "failed", PART), ours("re_2", 1500))
    await nudge(saga, 1)
    await saga.settle(stripe_requests.REFUND_PART, rows(saga)["again"].refund_id, PartRefunded(gbp(500)))
    await nudge(saga, 2)
    assert [event for event in saga.published if event.type == "payment.refunded"] == [refunded, refunded]


async def test_what_bounced_before_the_lookup_is_refunded_later(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(None))
    found = Found("pi_1", "succeeded", gbp(0), TOTAL, str(ORDER_ID), (elsewhere("re_1", 2000, "failed"),))
    await saga.settle("look", ORDER_ID, found)
    assert payment(saga).state == "refund_failed"
    assert payment(saga).refund_at is not None


async def test_a_refusal_after_a_lookup_found_a_full_refund_changes_nothing(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    await look_up(saga, elsewhere("re_1", 2000))
    await saga.settle("refund", ORDER_ID, RefundRefused("balance_insufficient"))
    assert (payment(saga).state, payment(saga).refund_at) == ("refunded", None)


@pytest.mark.parametrize("outcome", [Refunded(None), RefundRefused("balance_insufficient")])
async def test_an_outcome_after_lookups_found_the_refund_and_its_bounce_changes_nothing(
    saga: Harness, cancelled: OrderCancelled, outcome: Outcome
) -> None:
    await saga.consume(cancelled)
    for status in ("succeeded", "failed"):
        await look_up(saga, elsewhere("re_1", 2000, status))
    await saga.settle("refund", ORDER_ID, outcome)
    assert (payment(saga).state, payment(saga).refund_at) == ("refund_failed", None)


async def test_a_refund_at_the_provider_covers_a_bounced_one(refunded: Harness) -> None:
    await look_up(refunded, ours("re_1", 2000, "failed"))
    await look_up(refunded, ours("re_1", 2000, "failed"), elsewhere("re_2", 2000))
    assert payment(refunded).state == "refunded"
    assert published(refunded)[-1] == ("payment.refunded_in_part", "provider")
    assert "bounced" not in {row.state for row in rows(refunded).values()}


async def test_a_refused_refund_that_is_made_at_the_provider_is_complete(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, RefundRefused("balance_insufficient"))
    await look_up(saga, elsewhere("re_1", 2000))
    assert payment(saga).state == "refunded"
    assert [event.type for event in saga.published] == ["payment.refunded_in_part", "payment.refunded"]


async def test_a_cancelled_orders_bounced_refund_is_refunded(
    saga: Harness, cancelled: OrderCancelled
) -> None:
    await returned(saga)
    await look_up(saga, ours("re_1", 500, "failed", PART))
    await saga.consume(cancelled)
    await saga.settle("refund", ORDER_ID, Refunded(TOTAL))
    assert payment(saga).state == "refunded"
    assert saga.published[-1].total == TOTAL  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("state", "known", "found", "differs"),
    [
        ("captured", None, elsewhere("re_1", 1), True),
        ("captured", "refunded", elsewhere("re_1", 1), False),
        ("captured", "refunded", elsewhere("re_1", 1, "failed"), True),
        ("captured", "bounced", elsewhere("re_1", 1, "failed"), False),
        ("voided", None, elsewhere("re_1", 1), False),
        ("refunded", None, ours("re_1", 1), False),
        ("refunded", None, ours("re_1", 1, "failed"), True),
        ("refund_failed", None, ours("re_1", 1, "failed"), False),
        ("captured", "refunded", ours("re_1", 1, "failed", PART), True),
    ],
)
def test_only_refunds_that_may_differ_are_looked_up(
    state: str, known: str | None, found: FoundRefund, differs: bool
) -> None:
    assert bounces.may_differ(state, known, found) is differs
