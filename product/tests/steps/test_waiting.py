"""A shortage that reservations cause is not final: waiting orders get pieces that are released, first come
first served, and are rejected once they can never be filled."""

from datetime import timedelta
from uuid import UUID

import pytest

from chassis.saga.tx import Tx
from chassis.testing import Harness
from contracts import Event, StockRejected, StockReserved
from contracts.testing import saga_nudged
from product import domain, waiting
from product.domain import Hold, NeverReserved, Stock
from product.saga import steps
from product.waiting import end_waiting, serve_waiting

from ..orders import Order, placed

PUBLISHES: list[type[Event]] = [StockReserved, StockRejected]


@pytest.fixture
def harness() -> Harness:
    harness = Harness(steps, now=Order(lamp=1).created().deadline - timedelta(minutes=15))
    harness.put(Stock("lamp", on_hand=3, received=3), Stock("vase", on_hand=1, received=1))
    return harness


def state(harness: Harness, order_id: UUID) -> str:
    hold = harness.row(Hold, order_id)
    assert hold is not None
    return hold.state


def stock(harness: Harness, sku: str) -> Stock:
    found = harness.row(Stock, sku)
    assert found is not None
    return found


async def lamp_in(tx: Tx) -> Stock:
    lamp = await tx.get(Stock, "lamp")
    assert lamp is not None
    return lamp


async def end_wait(harness: Harness, order: Order) -> None:
    """As the job does for an order that has waited for the longest time allowed."""

    async def end(tx: Tx) -> None:
        await end_waiting((await tx.get_many(Hold, [order.id])).values(), tx)

    await harness.run(end, publishes=PUBLISHES)


def published(harness: Harness) -> list[tuple[type, UUID]]:
    return [(type(event), event.about) for event in harness.published]


async def test_an_order_for_reserved_pieces_waits_and_gets_them_when_released(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    assert state(harness, other.id) == "waiting"
    assert published(harness) == [(StockReserved, one.id)]
    await harness.consume(one.cancelled())
    assert published(harness)[2:] == [(StockReserved, other.id)]
    lamp = stock(harness, "lamp")
    assert (lamp.on_hand, lamp.reserved, lamp.waiting) == (1, 2, {})


async def test_first_come_is_first_served_whatever_the_sequence_of_the_messages(harness: Harness) -> None:
    holder, first, second = placed({"lamp": 3}, {"lamp": 2}, {"lamp": 2})
    await harness.consume(holder.created(), second.created(), first.created(), holder.cancelled())
    assert (state(harness, first.id), state(harness, second.id)) == ("reserved", "waiting")


async def test_a_large_waiting_order_does_not_block_a_small_one_behind_it(harness: Harness) -> None:
    large, small, holder, other = placed({"lamp": 3}, {"lamp": 1}, {"lamp": 1}, {"lamp": 2})
    await harness.consume(holder.created(), other.created(), large.created(), small.created())
    await harness.consume(holder.cancelled())
    assert (state(harness, large.id), state(harness, small.id)) == ("waiting", "reserved")


async def test_a_waiting_order_reserves_nothing_until_all_its_lines_are_available(harness: Harness) -> None:
    one, other, both = placed({"lamp": 3}, {"vase": 1}, {"lamp": 1, "vase": 1})
    await harness.consume(one.created(), other.created(), both.created(), one.cancelled())
    assert state(harness, both.id) == "waiting"
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").reserved) == (3, 0)
    await harness.consume(other.cancelled())
    assert state(harness, both.id) == "reserved"
    assert (stock(harness, "lamp").reserved, stock(harness, "vase").reserved) == (1, 1)


async def test_an_order_for_more_than_can_ever_be_released_is_rejected_at_once(harness: Harness) -> None:
    one, other = Order(lamp=3), Order(lamp=4)
    await harness.consume(one.created(), other.created())
    assert published(harness)[1:] == [(StockRejected, other.id)]


async def test_a_waiting_order_is_rejected_when_its_pieces_are_sold(harness: Harness) -> None:
    sold, held, few, many = placed({"lamp": 2}, {"lamp": 1}, {"lamp": 1}, {"lamp": 2})
    await harness.consume(sold.created(), held.created(), few.created(), many.created(), sold.paid())
    assert published(harness)[2:] == [(StockRejected, many.id)]
    assert state(harness, few.id) == "waiting", "one lamp may still be released"


async def test_restocking_a_cancelled_order_serves_waiting_orders(harness: Harness) -> None:
    returned, held, other = placed({"lamp": 2}, {"lamp": 1}, {"lamp": 1})
    await harness.consume(returned.created(), held.created(), returned.paid(), other.created())
    await harness.consume(returned.cancelled())
    assert state(harness, other.id) == "reserved"


async def test_a_return_serves_waiting_orders(harness: Harness) -> None:
    returned, held, other = placed({"lamp": 2}, {"lamp": 1}, {"lamp": 1})
    await harness.consume(returned.created(), held.created(), returned.paid(), other.created())
    await harness.consume(returned.returned(lamp=1))
    assert state(harness, other.id) == "reserved"


async def test_a_cancelled_order_stops_waiting_and_gets_nothing(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created(), other.cancelled(), one.cancelled())
    assert state(harness, other.id) == "refused"
    assert [type(event).__name__ for event in harness.published] == ["StockReserved", "StockReleased"]
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").waiting) == (3, {})


async def test_repeats_that_the_inbox_has_forgotten_serve_no_order_twice(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    for event in (one.created(), other.created(), one.cancelled(), other.paid(), other.cancelled()):
        await harness.consume(event)
        after = repr(harness.rows), list(harness.published)
        harness.inbox.clear()
        await harness.consume(event)
        assert (repr(harness.rows), harness.published) == after
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").sold) == (3, 0)


async def test_selling_a_waiting_order_raises(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    with pytest.raises(NeverReserved):
        await harness.consume(other.paid())


async def test_a_nudge_publishes_nothing_for_a_waiting_order(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    before = list(harness.published)
    await harness.consume(saga_nudged(order_id=other.id))
    assert harness.published == before


async def test_a_waiting_order_gets_no_stock_past_its_deadline(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    harness.now = other.created().deadline
    await harness.consume(one.cancelled())
    assert state(harness, other.id) == "refused"
    assert (StockReserved, other.id) not in published(harness)
    assert (stock(harness, "lamp").on_hand, stock(harness, "lamp").waiting) == (3, {})


async def test_an_order_that_has_waited_for_the_longest_time_is_rejected_with_what_is_short(
    harness: Harness,
) -> None:
    one, other = placed({"lamp": 2}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    await end_wait(harness, other)
    rejected = harness.published[-1]
    assert isinstance(rejected, StockRejected)
    assert [(s.sku, s.wanted, s.available) for s in rejected.short] == [("lamp", 2, 1)]
    assert stock(harness, "lamp").waiting == {}
    await harness.consume(one.cancelled())
    assert state(harness, other.id) == "rejected"


async def test_an_order_is_rechecked_before_it_is_rejected(harness: Harness) -> None:
    one, other = placed({"lamp": 3}, {"lamp": 2})
    await harness.consume(one.created(), other.created())
    harness.put(Stock("lamp", on_hand=2, reserved=3, received=5, waiting={other.id: 2}))
    await end_wait(harness, other)
    assert published(harness)[-1] == (StockReserved, other.id)


@pytest.mark.parametrize(("change", "outcome"), [(("adjust", 2), "reserved"), (("adjust", -1), "rejected")])
async def test_an_adjustment_serves_or_rejects_waiting_orders(
    harness: Harness, change: tuple[str, int], outcome: str
) -> None:
    one, other = placed({"lamp": 2}, {"lamp": 3})
    await harness.consume(one.created(), other.created())

    async def adjust(tx: Tx) -> None:
        lamp = await lamp_in(tx)
        lamp.adjust(change[1])
        await serve_waiting([lamp], tx)

    await harness.run(adjust, publishes=PUBLISHES)
    assert state(harness, other.id) == outcome


async def test_no_order_waits_for_a_retired_product(harness: Harness) -> None:
    one, other, later = placed({"lamp": 3}, {"lamp": 3}, {"lamp": 1})
    await harness.consume(one.created(), other.created())

    async def retire(tx: Tx) -> None:
        lamp = await lamp_in(tx)
        lamp.status = "retired"
        await serve_waiting([lamp], tx)

    await harness.run(retire, publishes=PUBLISHES)
    assert state(harness, other.id) == "rejected"
    await harness.consume(later.created())
    assert state(harness, later.id) == "rejected"


async def test_an_order_is_rejected_when_too_many_wait_already(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MOST_WAITING", 1)
    one, first, second = placed({"lamp": 3}, {"lamp": 1}, {"lamp": 1})
    await harness.consume(one.created(), first.created(), second.created())
    assert (state(harness, first.id), state(harness, second.id)) == ("waiting", "rejected")


async def test_a_release_serves_a_limited_number_and_leaves_the_others_to_the_job(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.serve_waiting, "__defaults__", (1,))
    one, first, second = placed({"lamp": 3}, {"lamp": 1}, {"lamp": 1})
    await harness.consume(one.created(), first.created(), second.created(), one.cancelled())
    assert (state(harness, first.id), state(harness, second.id)) == ("reserved", "waiting")

    async def again(tx: Tx) -> None:
        await serve_waiting([await lamp_in(tx)], tx)

    await harness.run(again, publishes=PUBLISHES)
    assert state(harness, second.id) == "reserved"
