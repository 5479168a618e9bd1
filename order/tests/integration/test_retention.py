"""How long orders and their timelines are kept, and how long a paid order can be cancelled."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.fernet import Fernet

from chassis.runtime.jobs import first_id
from chassis.storage.attempts import Attempts
from contracts.testing import guest_merged, stock_reserved
from order.jobs import MERGED_GUESTS, ORDERS, STAFF_ACTIONS, TIMELINE, periodic
from order.settings import Settings

Start = Callable[..., Awaitable[Any]]
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=400)
A_YEAR_AGO = NOW - timedelta(days=365)
GIVEN = {
    "database_url": "postgresql+asyncpg://nobody",
    "amqp_url": "amqp://nobody",
    "jwks_url": "http://nobody",
    "token_issuer": "shop",
    "token_audience": "shop",
    "product_url": "http://nobody",
    "cart_url": "http://nobody",
    "contact_key": Fernet.generate_key().decode(),
    "action_key": Fernet.generate_key().decode(),
}


async def age(order: Any, order_id: UUID) -> UUID:
    """Let the order have been placed long ago; its new id."""
    old = UUID(int=first_id(LONG_AGO).int + order_id.int % 2**48)
    for table in ("orders", "timeline", "staff_action"):
        await order.database.execute(f"UPDATE {table} SET order_id = $2 WHERE order_id = $1", order_id, old)
    return old


async def prune(order: Any) -> tuple[int, int]:
    engine = order.transactions.engine
    return await TIMELINE.prune(engine, A_YEAR_AGO), await ORDERS.prune(engine, A_YEAR_AGO)


async def test_an_ended_order_is_deleted_with_its_timeline(order: Any, paid: Any, shopper: UUID) -> None:
    young, old = await order.placed(shopper), await order.placed(shopper)
    await order.consume(paid(young), paid(old))
    await age(order, old)
    assert await ORDERS.prune(order.transactions.engine, A_YEAR_AGO) == 1
    assert await order.database.fetchval("SELECT order_id FROM orders") == young
    assert await order.database.fetchval("SELECT array_agg(order_id) FROM timeline") == [young]


async def test_a_timeline_may_be_deleted_before_its_order(order: Any, paid: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    old = await age(order, order_id)
    assert await TIMELINE.prune(order.transactions.engine, A_YEAR_AGO) == 1
    assert (await order.get(f"/v1/orders/{old}", shopper)).json()["status"] == "paid"
    assert (await order.get(f"/v1/orders/{old}/timeline", shopper)).json()["events"] == []


async def test_an_order_is_kept_until_it_has_ended_and_misses_no_compensation(
    order: Any, paid: Any, shopper: UUID
) -> None:
    pending, cancelled = await order.placed(shopper), await order.placed(shopper)
    await order.consume(stock_reserved(order_id=pending), stock_reserved(order_id=cancelled), paid(cancelled))
    await order.cancel(cancelled, shopper)
    for one in (pending, cancelled):
        await age(order, one)
    assert await prune(order) == (0, 0)
    await order.database.execute("UPDATE orders SET undone = status = 'cancelled'")
    assert await prune(order) == (2, 1)
    assert await order.database.fetchval("SELECT array_agg(status) FROM orders") == ["pending"]


async def test_a_paid_order_can_be_cancelled_within_the_return_period(
    start: Start, paid: Any, shopper: UUID
) -> None:
    order = await start(return_days=14)
    early, late = await order.placed(shopper), await order.placed(shopper)
    await order.consume(paid(early), paid(late))
    for one, days in ((early, 13.9), (late, 14)):
        moment = NOW - timedelta(days=days)
        await order.database.execute("UPDATE orders SET paid_at = $2 WHERE order_id = $1", one, moment)
    assert (await order.cancel(early, shopper)).status_code == 200
    refused = await order.cancel(late, shopper)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-late-to-return")
    assert refused.json()["detail"] == "A paid order can be cancelled for 14 days."
    assert (await order.get(f"/v1/orders/{late}", shopper)).json()["status"] == "paid"


async def test_a_cancel_can_be_repeated_at_any_time(start: Start, paid: Any, shopper: UUID) -> None:
    order = await start(return_days=14)
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    assert (await order.cancel(order_id, shopper)).status_code == 200
    await order.database.execute("UPDATE orders SET paid_at = $1", LONG_AGO)
    assert (await order.cancel(order_id, shopper)).status_code == 200


async def test_a_pending_order_can_be_cancelled_with_a_return_period_of_zero(
    start: Start, paid: Any, shopper: UUID
) -> None:
    order = await start(return_days=0)
    pending, bought = await order.placed(shopper), await order.placed(shopper)
    await order.consume(paid(bought))
    assert (await order.cancel(pending, shopper)).status_code == 200
    assert (await order.cancel(bought, shopper)).status_code == 409


async def test_the_audit_of_an_order_is_kept_for_as_long_as_the_order(
    order: Any, paid: Any, shopper: UUID, bearer: Any
) -> None:
    young, old, returning = [await order.placed(shopper) for _ in range(3)]
    staff = bearer(uuid4(), role="warehouse")
    await order.consume(*(paid(one) for one in (young, old, returning)))
    for one in (young, old, returning):
        assert (await order.http.post(f"/v1/orders/{one}/fulfil", headers=staff)).is_success
    await age(order, old)
    returning = await age(order, returning)
    await order.database.execute("UPDATE orders SET returning_since = now() WHERE order_id = $1", returning)
    transactions = order.transactions
    assert await STAFF_ACTIONS.prune(transactions.engine, A_YEAR_AGO) == 0, "the orders are still there"
    settings = Settings.model_validate(GIVEN | {"order_keep_days": 365})
    jobs = periodic(settings, transactions, order.keys, Attempts(order.engine, 60))
    [retention] = [one for one in jobs if one.name == "retention"]
    await retention.work()
    kept = await order.database.fetch("SELECT order_id FROM staff_action")
    assert {row["order_id"] for row in kept} == {young, returning}


async def test_a_merged_guest_is_kept_for_as_long_as_its_orders(order: Any, paid: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    idle, young = uuid4(), uuid4()
    await order.consume(
        paid(order_id), *(guest_merged(guest_id=one, user_id=uuid4()) for one in (shopper, idle))
    )
    await order.database.execute("UPDATE merged_guests SET merged_at = $1", LONG_AGO)
    await order.consume(guest_merged(guest_id=young, user_id=uuid4()))
    engine = order.transactions.engine
    assert await MERGED_GUESTS.prune(engine, A_YEAR_AGO) == 1
    await age(order, order_id)
    assert await ORDERS.prune(engine, A_YEAR_AGO) == 1
    assert await MERGED_GUESTS.prune(engine, A_YEAR_AGO) == 1
    assert await order.database.fetchval("SELECT array_agg(guest_id) FROM merged_guests") == [young]
