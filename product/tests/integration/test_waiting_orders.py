"""Waiting orders on a real PostgreSQL: concurrent releases and cancellations serve each order once without
deadlocks, the job serves those that were skipped, and no order waits for long."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import httpx
from sqlalchemy import text

from chassis.storage.database import Transactions, connect
from product.domain import Hold, Stock
from product.jobs import check_waiting_orders
from product.settings import Settings

from ..conftest import Create
from ..orders import Order
from .conftest import handle, handle_all, levels, states, stock_up

Workers = list[Transactions]


async def published_about(workers: Workers, order_id: UUID) -> list[str]:
    async with workers[0].engine.connect() as connection:
        query = "SELECT type FROM outbox WHERE subject = :order_id ORDER BY position"
        return list((await connection.execute(text(query), {"order_id": order_id})).scalars())


async def counted(workers: Workers) -> dict[str, int]:
    async with workers[0].engine.connect() as connection:
        query = "SELECT type, count(*) FROM outbox GROUP BY type"
        return {row[0]: row[1] for row in await connection.execute(text(query))}


async def waited_for(workers: Workers) -> dict[str, dict[UUID, int]]:
    async with workers[0]() as tx:
        skus = (await tx.session.execute(text("SELECT sku FROM stock"))).scalars().all()
        return {sku: dict(one.waiting) for sku, one in (await tx.get_many(Stock, skus)).items()}


async def test_released_pieces_go_to_a_waiting_order_in_the_same_transaction(workers: Workers) -> None:
    await stock_up(workers, lamp=1)
    one, other = Order(lamp=1), Order(lamp=1)
    await handle(workers[0], [one.created()])
    await handle(workers[0], [other.created()])
    assert await published_about(workers, other.id) == []
    await handle(workers[1], [one.cancelled()])
    assert await published_about(workers, one.id) == ["stock.reserved", "stock.released"]
    assert await published_about(workers, other.id) == ["stock.reserved"]
    assert await levels(workers) == {"lamp": (0, 1, 0)}


async def test_a_late_reservation_has_the_waiting_orders_own_cause(workers: Workers) -> None:
    await stock_up(workers, lamp=1)
    one, other = Order(lamp=1), Order(lamp=1)
    await handle_all(workers, [one.created(), other.created()], size=1)
    winner, loser = (one, other) if await published_about(workers, one.id) else (other, one)
    await handle(workers[0], [winner.cancelled()])
    async with workers[0].engine.connect() as connection:
        query = "SELECT causation_id FROM outbox WHERE subject = :order_id"
        cause = (await connection.execute(text(query), {"order_id": loser.id})).scalar_one()
    assert cause == f"order.created/{loser.id}"


async def test_concurrent_releases_cancellations_and_sales_do_not_deadlock_and_lose_no_order(
    workers: Workers, settings: Settings
) -> None:
    """Orders of one, two and three products for 12 pieces each: each order that gets them is paid or
    cancelled."""
    dice = random.Random(7)
    await stock_up(workers, a=12, b=12, c=12)
    orders = [Order(**dict.fromkeys(dice.sample("abc", dice.randint(1, 3)), 1)) for _ in range(60)]
    await handle_all(workers, [one.created() for one in orders], size=5)
    paid = 0
    for _ in range(20):
        async with workers[0].engine.connect() as connection:
            query = "SELECT order_id FROM hold WHERE state = 'reserved'"
            reserved = set((await connection.execute(text(query))).scalars())
        if not reserved:
            break
        ends = [
            one.paid() if dice.random() < 0.2 else one.cancelled() for one in orders if one.id in reserved
        ]
        paid += sum(event.type == "order.paid" for event in ends)
        await asyncio.gather(handle_all(workers, ends, size=3), check_waiting_orders(workers[1], settings))
        await check_waiting_orders(workers[0], settings)
    ended = await states(workers)
    assert ended.get("waiting", 0) == 0
    assert ended["sold"] == paid
    counts = await counted(workers)
    assert counts["stock.reserved"] == ended["sold"] + ended["released"]
    assert counts.get("stock.rejected", 0) == ended.get("rejected", 0)
    assert await waited_for(workers) == {"a": {}, "b": {}, "c": {}}
    for on_hand, held, sold in (await levels(workers)).values():
        assert (on_hand + sold, held) == (12, 0)


async def test_a_release_skips_a_locked_order_and_the_job_serves_it(
    workers: Workers, settings: Settings
) -> None:
    await stock_up(workers, lamp=1)
    one, other = Order(lamp=1), Order(lamp=1)
    await handle(workers[0], [one.created()])
    await handle(workers[0], [other.created()])
    async with workers[1]() as tx:
        assert await tx.get(Hold, other.id)
        async with asyncio.timeout(5):
            await handle(workers[0], [one.cancelled()])
    assert await published_about(workers, other.id) == []
    await check_waiting_orders(workers[0], settings)
    assert await published_about(workers, other.id) == ["stock.reserved"]


async def test_no_order_waits_for_longer_than_the_setting(workers: Workers, settings: Settings) -> None:
    await stock_up(workers, lamp=1)
    one, other = Order(lamp=1), Order(lamp=1)
    await handle(workers[0], [one.created()])
    await handle(workers[0], [other.created()])
    await check_waiting_orders(workers[0], settings)
    assert await published_about(workers, other.id) == []
    async with workers[0].engine.begin() as connection:
        waited = timedelta(seconds=settings.wait_for_stock)
        await connection.execute(
            text("UPDATE hold SET waiting_since = waiting_since - CAST(:waited AS interval)"),
            {"waited": waited},
        )
    few = settings.model_copy(update={"reconcile_batch": 1})
    await asyncio.gather(*(check_waiting_orders(worker, few) for worker in workers))
    assert await published_about(workers, other.id) == ["stock.rejected"]
    assert await waited_for(workers) == {"lamp": {}}


async def test_the_job_reads_only_waiting_holds_and_their_stock(workers: Workers) -> None:
    async with workers[0].engine.connect() as connection:
        await connection.execute(text("SET enable_seqscan = off"))
        for index, query in (
            ("hold_waiting", "SELECT 1 FROM hold WHERE state = 'waiting' AND waiting_since < now()"),
            ("stock_waited_for", "SELECT sku FROM stock WHERE waiting IS NOT NULL ORDER BY sku"),
        ):
            assert index in str((await connection.execute(text(f"EXPLAIN {query}"))).all())


async def test_adjusting_or_retiring_a_product_serves_or_rejects_waiting_orders(
    admin: httpx.AsyncClient, create: Create, settings: Settings
) -> None:
    engine = connect(settings.database_url, pool_size=2, statement_timeout=10)
    workers = [Transactions(engine, "product", lease=0)]
    one, *others = sorted((Order(lamp=1) for _ in range(3)), key=lambda each: each.id)
    await create("lamp", stock=1)
    for each in (one, *others):
        await handle(workers[0], [each.created()])
    answer = await admin.post("/v1/products/lamp/stock", json={"delta": 1, "reason": "found one"})
    assert (answer.json()["on_hand"], answer.json()["reserved"]) == (0, 2)
    assert await published_about(workers, others[0].id) == ["stock.reserved"]
    assert (await admin.delete("/v1/products/lamp")).status_code == 204
    assert await published_about(workers, others[1].id) == ["stock.rejected"]
    await engine.dispose()
