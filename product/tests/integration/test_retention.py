"""Holds that have ended are kept for a while; open ones are kept until they end."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

from sqlalchemy import text

from chassis.runtime.jobs import first_id
from chassis.storage.database import Transactions
from product.domain import Hold, HoldState
from product.jobs import HOLDS

NOW = datetime.now(UTC)


async def test_ended_holds_are_pruned_and_open_ones_stay(transactions: Transactions) -> None:
    states = get_args(HoldState)
    async with transactions() as tx:
        for days in (400, 300):
            first = first_id(NOW - timedelta(days=days)).int
            for n, state in enumerate(states):
                tx.add(Hold(UUID(int=first + n), state, {"lamp": 1}))
    assert await HOLDS.prune(transactions.engine, NOW - timedelta(days=365)) == len(states) - 2
    async with transactions.engine.connect() as connection:
        left = (await connection.execute(text("SELECT state FROM hold ORDER BY order_id"))).scalars().all()
    assert left == ["waiting", "reserved", *states]
