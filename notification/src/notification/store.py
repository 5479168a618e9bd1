"""Asking, just before a receipt goes out, whether its order was cancelled in the meantime."""

import asyncio
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.telemetry import without_trace
from notification.tables import correspondence

_CANCELLED = select(correspondence.c.subject_id).where(
    correspondence.c.cancelled,
    correspondence.c.subject_id == any_(bindparam("ids", type_=ARRAY(correspondence.c.subject_id.type))),
)


class Cancellations:
    """Many receipts go out at once, and a query each would cost more than the letter: those asked for
    while a query runs are answered by the next."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: dict[UUID, asyncio.Future[bool]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def include(self, order_id: UUID) -> bool:
        """Whether the cancellation is committed here."""
        answer = self._waiting.get(order_id)
        if answer is None:
            answer = self._waiting[order_id] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), context=without_trace())
        return await asyncio.shield(answer)

    async def _ask(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                cancelled = await self._query(asked.keys())
            except Exception as error:
                for answer in asked.values():
                    answer.set_exception(error)
            else:
                for order_id, answer in asked.items():
                    answer.set_result(order_id in cancelled)
        self._asking = None

    async def _query(self, ids: Collection[UUID]) -> set[UUID]:
        async with self._engine.connect() as connection:
            return set(await connection.scalars(_CANCELLED, {"ids": list(ids)}))
