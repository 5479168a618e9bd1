"""Reads the databases directly, past everything that is being broken: which orders have ended, and when."""

import asyncio
import time

import asyncpg

from devstack import Stack
from lab.chaos.history import Checkout

POLL_SECONDS = 0.5
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_ENDED = "SELECT order_id::text, status FROM orders WHERE status <> 'pending' AND order_id = ANY($1::uuid[])"


class Observer:
    """Notes in the checkouts when their orders have ended."""

    def __init__(self, stack: Stack, checkouts: list[Checkout]) -> None:
        self._dsn = stack.operator_dsn("order")
        self._checkouts = checkouts
        self._pending: dict[str, Checkout] = {}

    @property
    def pending(self) -> int:
        return len(self._pending)

    async def run(self) -> None:
        """Poll until cancelled; nothing is noted while the database is unavailable."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                connection = await asyncpg.connect(self._dsn, timeout=2, command_timeout=2)
            except _UNAVAILABLE:
                continue
            try:
                while True:
                    await self._poll(connection)
                    await asyncio.sleep(POLL_SECONDS)
            except _UNAVAILABLE:
                connection.terminate()

    async def _poll(self, connection: asyncpg.Connection) -> None:
        waiting = [one for one in self._checkouts if one.order_ids and one.ended_at is None]
        self._pending = {order_id: one for one in waiting for order_id in one.order_ids}
        for row in await connection.fetch(_ENDED, list(self._pending)):
            ended = self._pending.pop(row["order_id"])
            ended.status, ended.ended_at = row["status"], time.monotonic()
