"""Cancels orders with a single statement: the order, `order.cancelled`, and the record of what staff did.

The order is read without a lock, and the domain decides. The statement changes the order only if it is still
as it was read, so that a step that has marked it paid meanwhile is not undone; otherwise it is read again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from chassis.http.problems import Conflict, NotFound
from chassis.storage.database import Transactions
from order.ids import new_order_id
from order.problems import as_problems
from order.returns import ReturnPeriod
from order.store import VersionedOrder, recording
from order.timeline import StaffAction

# An attempt fails only if another transaction has changed the order meanwhile. A saga changes its order a few
# times in all, and seldom twice within milliseconds.
_ATTEMPTS = 5


class Cancelling:
    """Cancels orders. A second cancel has no effect.

    `period`: for how long a paid order can be cancelled by its shopper.
    `changed`: called after each commit.
    """

    def __init__(self, transactions: Transactions, period: ReturnPeriod, changed: Callable[[], None]) -> None:
        self._transactions = transactions
        self._period = period
        self._changed = changed

    async def by_shopper(self, order_id: UUID) -> None:
        """Raises the problems of `as_problems`."""
        await self._cancel(order_id, None)

    async def by_staff(self, order_id: UUID, staff: UUID, why: str) -> None:
        """The same, after any time, and recorded in the order's audit."""
        now = datetime.now(UTC)
        await self._cancel(order_id, StaffAction(new_order_id(), order_id, "cancel", staff, now, why, {}))

    async def _cancel(self, order_id: UUID, action: StaffAction | None) -> None:
        for _ in range(_ATTEMPTS):
            if await self._try_to_cancel(order_id, action):
                return
        raise Conflict("The order is being changed: try again.", headers={"Retry-After": "1"})

    async def _try_to_cancel(self, order_id: UUID, action: StaffAction | None) -> bool:
        """Try to cancel it. Returns False if it was changed since it was read."""
        read = await VersionedOrder.read(self._transactions.engine, order_id)
        if read is None:
            raise NotFound("Order not found.")
        order, now = replace(read.order), datetime.now(UTC)
        with as_problems():
            if action is None:
                events = order.cancel(now, within=self._period)
            else:
                events = order.cancel(now, by="staff")
        if not events:
            return True
        [event] = events
        parts = [
            read.changing(order, self._changed),
            self._transactions.publishing(event, now, given="changed"),
        ]
        if action is not None:
            parts.append(recording(action, given="changed"))
        committed = await self._transactions.run(*parts, select="count(*) AS orders FROM changed")
        return bool(committed["orders"])
