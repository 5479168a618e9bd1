"""A shortage that others' reservations cause is not final: who waits gets what comes free, first come first
served, and nobody waits in vain."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.harness import Harness
from contracts import SagaNudged, StockRejected, StockReserved
from product import domain, waiting
from product.domain import Hold, NeverReserved, Stock
from product.saga import steps
from product.waiting import end_waiting, serve_waiting

SAYS: list[Any] = [StockReserved, StockRejected]


@pytest.fixture
def harness(order: Any) -> Harness:
    harness = Harness(steps, now=order(lamp=1).created().deadline - timedelta(minutes=15))
    harness.put(Stock("lamp", on_hand=3, received=3), Stock("vase", on_hand=1, received=1))
    return harness


def placed(order: type, *wanted: dict[str, int]) -> Sequence[Any]:
    """Orders in the sequence of their placing."""
    orders = [order(**lines) for lines in wanted]
    for one, order_id in zip(orders, sorted(one.id for one in orders), strict=True):
        one.id = one._snapshot["order_id"] = order_id
    return orders


def state(harness: Harness, order_id: UUID) -> str:
    hold = harness.row(Hold, order_id)
    assert hold is not None
    return hold.state


def stock(harness: Harness, sku: str) -> Stock:
    found = harness.row(Stock, sku)
    assert found is not None
    return found


def said(harness: Harness) -> list[tuple[type, UUID]]:
    return [(type(event), event.about) for event in harness.said]


async def test_who_finds_all_reserved_waits_and_gets_what_is_released(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created())
    assert state(harness, other.id) == "waiting"
    assert said(harness) == [(StockReserved, one.id)]
    await harness.hear(one.cancelled())
    assert said(harness)[2:] == [(StockReserved, other.id)]
    lamp = stock(harness, "lamp")
    assert (lamp.on_hand, lamp.reserved, lamp.waiting) == (1, 2, {})


async def test_first_come_is_first_served_whatever_the_sequence_of_the_messages(
    harness: Harness, order: Any
) -> None:
    holder, first, second = placed(order, {"lamp": 3}, {"lamp": 2}, {"lamp": 2})
    await harness.hear(holder.created(), second.created(), first.created(), holder.cancelled())
    assert (state(harness, first.id), state(harness, second.id)) == ("reserved", "waiting")


async def test_a_large_order_that_waits_holds_up_no_small_one_behind_it(harness: Harness, order: Any) -> None:
    large, small, holder, other = placed(order, {"lamp": 3}, {"lamp": 1}, {"lamp": 1}, {"lamp": 2})
    await harness.hear(holder.created(), other.created(), large.created(), small.created())
    await harness.hear(holder.cancelled())
    assert (state(harness, large.id), state(harness, small.id)) == ("waiting", "reserved")


async def test_an_order_holds_nothing_until_all_its_lines_can_be_had(harness: Harness, order: Any) -> None:
    one, other, both = placed(order, {"lamp": 3}, {"vase": 1}, {"lamp": 1, "vase": 1})
    await harness.hear(one.created(), other.created(), both.created(), one.cancelled())
    assert state(harness, both.id) == "waiting"
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").reserved) == (3, 0)
    await harness.hear(other.cancelled())
    assert state(harness, both.id) == "reserved"
    assert (stock(harness, "lamp").reserved, stock(harness, "vase").reserved) == (1, 1)


async def test_who_wants_more_than_could_ever_come_free_is_rejected_at_once(
    harness: Harness, order: Any
) -> None:
    one, other = order(lamp=3), order(lamp=4)
    await harness.hear(one.created(), other.created())
    assert said(harness)[1:] == [(StockRejected, other.id)]


async def test_who_waits_for_what_is_then_sold_is_rejected_then(harness: Harness, order: Any) -> None:
    sold, held, few, many = placed(order, {"lamp": 2}, {"lamp": 1}, {"lamp": 1}, {"lamp": 2})
    await harness.hear(sold.created(), held.created(), few.created(), many.created(), sold.paid())
    assert said(harness)[2:] == [(StockRejected, many.id)]
    assert state(harness, few.id) == "waiting", "one lamp may still come free"


async def test_a_restocked_order_serves_who_waits(harness: Harness, order: Any) -> None:
    returned, held, other = placed(order, {"lamp": 2}, {"lamp": 1}, {"lamp": 1})
    await harness.hear(returned.created(), held.created(), returned.paid(), other.created())
    await harness.hear(returned.cancelled())
    assert state(harness, other.id) == "reserved"


async def test_what_a_customer_sends_back_serves_who_waits(harness: Harness, order: Any) -> None:
    returned, held, other = placed(order, {"lamp": 2}, {"lamp": 1}, {"lamp": 1})
    await harness.hear(returned.created(), held.created(), returned.paid(), other.created())
    await harness.hear(returned.returned(lamp=1))
    assert state(harness, other.id) == "reserved"


async def test_a_cancelled_order_waits_no_more_and_gets_nothing(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created(), other.cancelled(), one.cancelled())
    assert state(harness, other.id) == "refused"
    assert [type(event).__name__ for event in harness.said] == ["StockReserved", "StockReleased"]
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").waiting) == (3, {})


async def test_repeats_that_the_inbox_has_forgotten_serve_nobody_twice(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    for event in (one.created(), other.created(), one.cancelled(), other.paid(), other.cancelled()):
        await harness.hear(event)
        after = repr(harness.rows), list(harness.said)
        harness.inbox.clear()
        await harness.hear(event)
        assert (repr(harness.rows), harness.said) == after
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").sold) == (3, 0)


async def test_nobody_sells_what_an_order_waits_for(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created())
    with pytest.raises(NeverReserved):
        await harness.hear(other.paid())


async def test_a_nudge_says_nothing_of_an_order_that_waits(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created())
    before = list(harness.said)
    await harness.hear(SagaNudged(order_id=other.id, nudge_id=uuid4()))
    assert harness.said == before


async def test_nobody_gets_stock_past_the_deadline(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created())
    harness.now = other.created().deadline
    await harness.hear(one.cancelled())
    assert state(harness, other.id) == "refused"
    assert (StockReserved, other.id) not in said(harness)
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").waiting) == (3, {})


async def test_who_has_waited_long_enough_is_rejected_and_told_what_was_short(
    harness: Harness, order: Any
) -> None:
    one, other = placed(order, {"lamp": 2}, {"lamp": 2})
    await harness.hear(one.created(), other.created())

    async def give_up(tx: Any) -> None:
        await end_waiting([await tx.get(Hold, other.id)], tx)

    await harness.run(give_up, says=SAYS)
    rejected = harness.said[-1]
    assert isinstance(rejected, StockRejected)
    assert [(s.sku, s.wanted, s.available) for s in rejected.short] == [("lamp", 2, 1)]
    assert stock(harness, "lamp").waiting == {}
    await harness.hear(one.cancelled())
    assert state(harness, other.id) == "rejected"


async def test_a_last_look_before_giving_up_finds_what_has_come_free(harness: Harness, order: Any) -> None:
    one, other = placed(order, {"lamp": 3}, {"lamp": 2})
    await harness.hear(one.created(), other.created())
    harness.put(Stock("lamp", on_hand=2, reserved=3, received=5, waiting={other.id: 2}))

    async def give_up(tx: Any) -> None:
        await end_waiting([await tx.get(Hold, other.id)], tx)

    await harness.run(give_up, says=SAYS)
    assert said(harness)[-1] == (StockReserved, other.id)


@pytest.mark.parametrize(("change", "outcome"), [(("adjust", 2), "reserved"), (("adjust", -1), "rejected")])
async def test_an_adjustment_serves_who_waits_or_ends_the_waiting(
    harness: Harness, order: Any, change: tuple[str, int], outcome: str
) -> None:
    one, other = placed(order, {"lamp": 2}, {"lamp": 3})
    await harness.hear(one.created(), other.created())

    async def adjust(tx: Any) -> None:
        lamp = await tx.get(Stock, "lamp")
        lamp.adjust(change[1])
        await serve_waiting([lamp], tx)

    await harness.run(adjust, says=SAYS)
    assert state(harness, other.id) == outcome


async def test_nobody_waits_for_what_is_sold_no_more(harness: Harness, order: Any) -> None:
    one, other, later = placed(order, {"lamp": 3}, {"lamp": 3}, {"lamp": 1})
    await harness.hear(one.created(), other.created())

    async def retire(tx: Any) -> None:
        lamp = await tx.get(Stock, "lamp")
        lamp.status = "retired"
        await serve_waiting([lamp], tx)

    await harness.run(retire, says=SAYS)
    assert state(harness, other.id) == "rejected"
    await harness.hear(later.created())
    assert state(harness, later.id) == "rejected"


async def test_where_too_many_wait_already_one_is_rejected_at_once(
    harness: Harness, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MOST_WAITING", 1)
    one, first, second = placed(order, {"lamp": 3}, {"lamp": 1}, {"lamp": 1})
    await harness.hear(one.created(), first.created(), second.created())
    assert (state(harness, first.id), state(harness, second.id)) == ("waiting", "rejected")


async def test_a_release_looks_at_so_many_and_leaves_the_others_to_the_next_round(
    harness: Harness, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.serve_waiting, "__defaults__", (1,))
    one, first, second = placed(order, {"lamp": 3}, {"lamp": 1}, {"lamp": 1})
    await harness.hear(one.created(), first.created(), second.created(), one.cancelled())
    assert (state(harness, first.id), state(harness, second.id)) == ("reserved", "waiting")

    async def again(tx: Any) -> None:
        await serve_waiting([await tx.get(Stock, "lamp")], tx)

    await harness.run(again, says=SAYS)
    assert state(harness, second.id) == "reserved"
