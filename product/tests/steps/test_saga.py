"""Every step: the happy path, the refusal, the repeat, and each sequence of arrival."""

from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from chassis.testing import Harness
from contracts import StockRejected, StockReleased, StockReserved
from contracts.order import LONG_OVER
from contracts.testing import saga_nudged
from product.domain import Hold, NeverReserved, Stock
from product.saga import steps

from ..orders import Order


@pytest.fixture
def harness() -> Harness:
    harness = Harness(steps)
    harness.put(Stock("lamp", on_hand=3, received=3), Stock("vase", on_hand=1, received=1))
    return harness


def pieces(harness: Harness, sku: str) -> tuple[int, int, int]:
    stock = harness.row(Stock, sku)
    assert stock is not None
    return stock.on_hand, stock.reserved, stock.sold


async def test_a_created_order_gets_its_stock_reserved(harness: Harness) -> None:
    one = Order(lamp=2, vase=1)
    await harness.consume(one.created())
    assert harness.published == [StockReserved(order_id=one.id)]
    assert (pieces(harness, "lamp"), pieces(harness, "vase")) == ((1, 2, 0), (0, 1, 0))


async def test_an_order_that_cannot_be_filled_gets_nothing(harness: Harness) -> None:
    one = Order(lamp=2, vase=2)
    await harness.consume(one.created())
    [event] = harness.published
    assert isinstance(event, StockRejected)
    assert [(s.sku, s.wanted, s.available) for s in event.short] == [("vase", 2, 1)]
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_the_last_piece_goes_to_one_order_and_the_other_is_rejected_once_it_is_sold(
    harness: Harness,
) -> None:
    one, other = Order(vase=1), Order(vase=1)
    await harness.consume(one.created(), other.created())
    assert harness.published == [StockReserved(order_id=one.id)]
    await harness.consume(one.paid())
    [_, event] = harness.published
    assert isinstance(event, StockRejected)
    assert (event.order_id, event.short[0].available) == (other.id, 0)


async def test_an_order_past_retention_reserves_nothing_again() -> None:
    one = Order(lamp=2).created()
    harness = Harness(steps, now=one.deadline + LONG_OVER + timedelta(seconds=1))
    harness.put(Stock("lamp", on_hand=3, received=3))
    await harness.consume(one)
    assert harness.published == []
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_a_paid_order_takes_its_stock(harness: Harness) -> None:
    one = Order(lamp=2)
    await harness.consume(one.created(), one.paid())
    assert pieces(harness, "lamp") == (1, 0, 2)


async def test_a_cancelled_order_gives_its_reserved_stock_back(harness: Harness) -> None:
    one = Order(lamp=2)
    await harness.consume(one.created(), one.cancelled())
    assert harness.published[-1] == StockReleased(order_id=one.id, restocked=False)
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_an_order_cancelled_after_payment_is_restocked(harness: Harness) -> None:
    one = Order(lamp=2)
    await harness.consume(one.created(), one.paid(), one.cancelled())
    assert harness.published[-1] == StockReleased(order_id=one.id, restocked=True)
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_cancelling_a_rejected_order_releases_nothing(harness: Harness) -> None:
    one = Order(vase=2)
    await harness.consume(one.created(), one.cancelled())
    assert [type(event) for event in harness.published] == [StockRejected]


async def test_an_order_created_after_its_cancellation_reserves_nothing(harness: Harness) -> None:
    one = Order(lamp=2)
    await harness.consume(one.cancelled(), one.created())
    assert harness.published == []
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_a_payment_after_the_cancellation_sells_nothing(harness: Harness) -> None:
    one = Order(lamp=2)
    await harness.consume(one.created(), one.cancelled(), one.paid())
    assert pieces(harness, "lamp") == (3, 0, 0)


async def test_a_payment_before_its_order_fails_until_the_order_arrives(harness: Harness) -> None:
    one = Order(lamp=2)
    with pytest.raises(NeverReserved):
        await harness.consume(one.paid())
    assert harness.row(Hold, one.id) is None
    assert pieces(harness, "lamp") == (3, 0, 0)
    await harness.consume(one.created(), one.paid())
    assert pieces(harness, "lamp") == (1, 0, 2)


async def test_a_payment_for_a_rejected_order_fails(harness: Harness) -> None:
    one = Order(vase=2)
    await harness.consume(one.created())
    with pytest.raises(NeverReserved):
        await harness.consume(one.paid())
    assert pieces(harness, "vase") == (1, 0, 0)


async def test_repeats_that_the_inbox_has_forgotten_change_nothing(harness: Harness) -> None:
    one = Order(lamp=2)
    for event in (one.created(), one.paid(), one.cancelled()):
        await harness.consume(event)
        after = pieces(harness, "lamp"), list(harness.published)
        harness.inbox.clear()
        await harness.consume(event)
        assert (pieces(harness, "lamp"), harness.published) == after


@pytest.mark.parametrize("events", list(permutations(["created", "paid", "cancelled"])))
async def test_a_cancelled_order_ends_with_all_stock_on_hand_in_any_order(
    harness: Harness, events: tuple[str, ...]
) -> None:
    one = Order(lamp=2, vase=1)
    waiting = [getattr(one, name)() for name in events]
    while waiting:
        event = waiting.pop(0)
        try:
            await harness.consume(event)
        except NeverReserved:
            waiting.append(event)
    assert (pieces(harness, "lamp"), pieces(harness, "vase")) == ((3, 0, 0), (1, 0, 0))


async def test_a_nudge_republishes_the_state_of_the_hold_and_changes_nothing() -> None:
    one, other = Order(lamp=2), Order(lamp=4)
    harness = Harness(steps, now=one.created().deadline - timedelta(minutes=1))
    harness.put(Stock("lamp", on_hand=3, received=3))
    await harness.consume(one.created(), other.created())
    published, before = list(harness.published), pieces(harness, "lamp")
    for order_id in (one.id, other.id, uuid4()):
        await harness.consume(saga_nudged(order_id=order_id))
    assert harness.published == published * 2
    assert pieces(harness, "lamp") == before
