"""What is done about the provider's hints: a call whose outcome is unknown is made again sooner, and what
somebody else may have touched is looked up."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

import structlog

from chassis.saga.intents import retry_now
from chassis.storage.database import Transactions
from chassis.telemetry.logs import without_trace
from payment import store
from payment.domain import Payment
from payment.saga import follow
from payment.webhooks import CANCELLED, TAKEN, Hint

log = structlog.get_logger()


class Hints:
    """Gathers echoes of our own calls for `linger` seconds and looks for what they are about in two queries.

    In nearly every checkout the answer was faster than the hint, and the queries find nothing. An echo that
    is lost in a crash costs nothing but time: the call is made again anyhow. News is committed before it is
    answered for; where it never arrives, the reconciliation with the provider's lists finds what it is about.
    """

    def __init__(self, transactions: Transactions, linger: float) -> None:
        self._transactions = transactions
        self._linger = linger
        self._taken: dict[str, Hint] = {}
        self._acting: asyncio.Task[None] | None = None

    async def heed(self, hint: Hint) -> None:
        """Act on it, soon; news is remembered now. Raises what the database raises."""
        if hint.is_news:
            await self._remember(hint)
        elif hint.order_id is not None:
            self._take(hint)

    async def act(self) -> None:
        """Act on what was taken so far."""
        taken, self._taken = self._taken, {}
        engine = self._transactions.engine
        undecided = await store.undecided(engine, _orders(taken.values()))
        # Before we take money, it is no longer called held: somebody else has taken this.
        held = await store.held(engine, _orders(hint for hint in taken.values() if hint.type == TAKEN))
        for hint in taken.values():
            if hint.order_id in undecided:
                async with self._transactions() as tx:
                    if await store.remember_webhook(tx.session, hint.event_id):
                        await retry_now(tx.session, hint.order_id)
            elif hint.order_id in held:
                await self._remember(hint)

    async def aclose(self) -> None:
        """Forget what was not acted on yet."""
        if self._acting is not None:
            self._acting.cancel()
            with suppress(asyncio.CancelledError):
                await self._acting

    async def _remember(self, hint: Hint) -> None:
        order_id = await store.order_of(self._transactions.engine, hint.payment_id, hint.order_id)
        if order_id is None:
            log.info("news of a payment that is not known here", payment_id=hint.payment_id, kind=hint.type)
            return
        async with self._transactions() as tx:
            if not await store.remember_webhook(tx.session, hint.event_id):
                return
            payment = await tx.get(Payment, order_id)
            if payment is not None:
                tx.retry_now(order_id)
                follow(payment, payment.advance(cancelled=hint.type == CANCELLED), tx)

    def _take(self, hint: Hint) -> None:
        self._taken[hint.event_id] = hint
        if self._acting is None:
            self._acting = asyncio.create_task(self._act_soon(), context=without_trace())

    async def _act_soon(self) -> None:
        while self._taken:
            await asyncio.sleep(self._linger)
            try:
                await self.act()
            except Exception:
                log.exception("hints lost")
        self._acting = None


def _orders(hints: Iterable[Hint]) -> list[UUID]:
    return [hint.order_id for hint in hints if hint.order_id is not None]
