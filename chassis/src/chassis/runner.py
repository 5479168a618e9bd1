"""Makes the calls that were intended, and settles their outcomes in batches."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import structlog

from chassis.batching import Gathering
from chassis.database import SqlTx, Transactions
from chassis.intents import Call, Due, Intents, again, lease_left_over, release, take_settled
from chassis.outage import is_outage
from chassis.privacy import reason
from chassis.telemetry import bind_subject, continue_trace

log = structlog.get_logger()


class IntentRunner:
    """Runs the calls of committed intents, `concurrency` at once.

    `call` makes one call and returns its outcome; raising means that the outcome is unknown, and the
    same call is made again after a growing, jittered delay of at most `longest_delay` seconds, for as long
    as it takes: money is never left in doubt. `poll`, `lease` and `linger` are seconds; the lease must
    outlast the longest call.
    """

    def __init__(
        self,
        transactions: Transactions,
        intents: Intents,
        call: Call,
        *,
        poll: float,
        lease: float,
        linger: float,
        batch: int,
        concurrency: int,
        longest_delay: float,
    ) -> None:
        self._transactions = transactions
        self._intents = intents
        self._call = call
        self._poll = poll
        self._lease = lease
        self._linger = linger
        self._batch = batch
        self._concurrency = concurrency
        self._longest_delay = longest_delay
        self._due: asyncio.Queue[tuple[float, Due]] = asyncio.Queue()
        self._outcomes: Gathering[tuple[Due, Any]] = Gathering()
        self._closing = False
        self._in_hand = 0  # calls in the air and outcomes not yet settled
        self._empty_handed = asyncio.Event()
        self._empty_handed.set()

    def wake(self, due: Sequence[Due]) -> None:
        """Take up what this process has just committed and leased."""
        until = asyncio.get_running_loop().time() + self._lease
        for one in due:
            self._due.put_nowait((until, one))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recover())
            group.create_task(self._settle())
            for _ in range(self._concurrency):
                group.create_task(self._make_calls())

    async def finish(self, grace: float) -> None:
        """Begin no more calls, settle those in the air for at most `grace` seconds, and hand back the leases
        of the others. A call whose outcome is thrown away is a call made twice."""
        self._closing = True
        try:
            async with asyncio.timeout(grace):
                await self._empty_handed.wait()
        except TimeoutError:
            log.warning("stopped with calls in the air: they are made again", calls=self._in_hand)
        if waiting := [self._due.get_nowait()[1] for _ in range(self._due.qsize())]:
            await release(self._transactions.engine, waiting)

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            try:
                self.wake(await lease_left_over(self._transactions.engine, self._lease, self._batch))
            except Exception:
                log.exception("intent poll failed")

    async def _make_calls(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            leased_until, due = await self._due.get()
            if self._closing:
                self._due.put_nowait((leased_until, due))
                return
            if loop.time() + self._lease / 2 > leased_until:
                continue  # too little of the lease is left for a call: the poll will find it
            _bind(due)
            self._take_in_hand()
            try:
                outcome = await self._call(due.intent)
            except Exception as error:
                await self._try_again(due, error)
                self._let_go(1)
            else:
                self._outcomes.put([(due, outcome)])

    async def _settle(self) -> None:
        while True:
            outcomes = await self._outcomes.batch(self._batch, self._linger)
            await self._settle_batch(outcomes)
            self._let_go(len(outcomes))

    def _take_in_hand(self) -> None:
        self._in_hand += 1
        self._empty_handed.clear()

    def _let_go(self, count: int) -> None:
        self._in_hand -= count
        if not self._in_hand:
            self._empty_handed.set()

    async def _settle_batch(self, outcomes: list[tuple[Due, Any]]) -> None:
        try:
            await self._commit(outcomes)
        except Exception as error:
            if len(outcomes) > 1 and not is_outage(error):
                for outcome in outcomes:
                    await self._settle_batch([outcome])
                return
            for due, _ in outcomes:
                await self._try_again(due, error)

    async def _commit(self, outcomes: list[tuple[Due, Any]]) -> None:
        async with self._transactions() as tx:
            fresh = await take_settled(tx.session, [due for due, _ in outcomes])
            await self._lock(tx, [due for due, _ in outcomes])
            for due, outcome in outcomes:
                if due.intent.key in fresh:
                    _bind(due)
                    tx.cause = due.causation_id
                    await self._intents[due.intent.kind].run(due.intent, outcome, tx)

    async def _lock(self, tx: SqlTx, due: list[Due]) -> None:
        if self._intents.locks is not None:
            await tx.lock([pair for one in due for pair in self._intents.locks(one.intent)])

    async def _try_again(self, due: Due, error: Exception) -> None:
        delay = min(self._longest_delay, 2.0**due.attempts) * random.uniform(0.5, 1)
        why = reason(error)
        log.warning("outcome unknown", intent=due.intent.key, attempts=due.attempts + 1, error=why)
        try:
            await again(self._transactions.engine, due, why, delay)
        except Exception:
            log.exception("lease runs out instead", intent=due.intent.key)


def _bind(due: Due) -> None:
    continue_trace(due.traceparent)
    bind_subject(due.intent.subject)
