"""Many concurrent orders on a real PostgreSQL: row locks and CHECKs prevent overselling."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis.storage import database

from ..orders import Order
from .conftest import handle_all, levels, states, stock_up


async def test_a_hundred_orders_for_one_piece_sell_it_once(workers: list[database.Transactions]) -> None:
    await stock_up(workers, lamp=1)
    await handle_all(workers, [Order(lamp=1).created() for _ in range(100)], size=1)
    assert await levels(workers) == {"lamp": (0, 1, 0)}
    assert await states(workers) == {"reserved": 1, "waiting": 99}


async def test_batches_that_lock_the_same_products_in_different_sequences_do_not_deadlock(
    workers: list[database.Transactions],
) -> None:
    await stock_up(workers, a=60, b=60, c=60)
    orders = [Order(a=1, b=1, c=1) if n % 2 else Order(c=1, b=1, a=1) for n in range(120)]
    await handle_all(workers, [one.created() for one in orders], size=7)
    assert await levels(workers) == {"a": (0, 60, 0), "b": (0, 60, 0), "c": (0, 60, 0)}
    await handle_all(workers, [one.cancelled() for one in reversed(orders)], size=7)
    assert await levels(workers) == {"a": (60, 0, 0), "b": (60, 0, 0), "c": (60, 0, 0)}
    assert (await states(workers)).keys() <= {"released", "refused"}


async def test_concurrent_creation_and_cancellation_leave_nothing_reserved(
    workers: list[database.Transactions],
) -> None:
    await stock_up(workers, lamp=50)
    orders = [Order(lamp=1) for _ in range(50)]
    await handle_all(workers, [event for one in orders for event in (one.created(), one.cancelled())], size=1)
    assert await levels(workers) == {"lamp": (50, 0, 0)}


async def test_the_database_rejects_overselling(workers: list[database.Transactions]) -> None:
    await stock_up(workers, lamp=1)
    for broken in ("on_hand = -1, reserved = 2", "reserved = 1", "received = 2"):
        with pytest.raises(IntegrityError):
            async with workers[0]() as tx:
                await tx.session.execute(text(f"UPDATE stock SET {broken}"))
