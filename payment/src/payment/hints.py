"""What is done about the provider's hints: calls whose outcome is unknown are made again sooner."""

import asyncio
from contextlib import suppress
from uuid import UUID

import structlog

from chassis.database import Transactions
from chassis.intents import ask_sooner
from chassis.telemetry import without_trace
from payment import store
from payment.webhooks import Hint

log = structlog.get_logger()


class Hints:
    """Gathers hints for `linger` seconds and looks for what they are about in one query.

    In nearly every checkout the answer was faster than the hint, and the query finds nothing. A hint that
    is lost in a crash costs nothing but time: the call is made again anyhow.
    """

    def __init__(self, transactions: Transactions, linger: float) -> None:
        self._transactions = transactions
        self._linger = linger
        self._taken: dict[str, UUID] = {}
        self._acting: asyncio.Task[None] | None = None

    def take(self, hint: Hint) -> None:
        """Act on it soon."""
        self._taken[hint.event_id] = hint.order_id
        if self._acting is None:
            self._acting = asyncio.create_task(self._act_soon(), context=without_trace())

    async def act(self) -> None:
        """Act on what was taken so far."""
        taken, self._taken = self._taken, {}
        undecided = await store.undecided(self._transactions.engine, taken.values())
        for event_id, order_id in taken.items():
            if order_id in undecided:
                async with self._transactions() as tx:
                    if await store.remember_webhook(tx.session, event_id):
                        await ask_sooner(tx.session, order_id)

    async def aclose(self) -> None:
        """Forget what was not acted on yet."""
        if self._acting is not None:
            self._acting.cancel()
            with suppress(asyncio.CancelledError):
                await self._acting

    async def _act_soon(self) -> None:
        while self._taken:
            await asyncio.sleep(self._linger)
            try:
                await self.act()
            except Exception:
                log.exception("hints lost")
        self._acting = None
