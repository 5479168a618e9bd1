"""Makes the calls that were intended, and settles their outcomes in batches."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from chassis.messaging.batching import Batcher
from chassis.messaging.cancellation import as_broken_connection, as_failure
from chassis.saga.intents import (
    Call,
    Due,
    Intents,
    OutcomePending,
    again,
    keep,
    lease_left_over,
    release,
    take_settled,
)
from chassis.storage.database import SqlTx, Transactions
from chassis.storage.outage import is_outage
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

_MOST_HELD = 500


@dataclass(eq=False)
class _Held:
    """An intent in hand: waiting for its call, in the air, or with an outcome that is not yet settled.
    `until` is when its lease ends, on the loop's clock; `settling` while its outcome is being committed."""

    due: Due
    until: float
    settling: bool = False


class IntentRunner:
    """Runs the calls of committed intents, `concurrency` at once.

    `call` makes one call and returns its outcome; raising means that the outcome is unknown, and the
    same call is made again after a growing, jittered delay of at most `longest_delay` seconds, for as long
    as it takes: money is never left in doubt. OutcomePending says itself when it is made again. `poll`,
    `lease` and `linger` are seconds. A lease is short, so that another takes up soon what a killed process
    had in hand, and is kept alive for as long as a call takes. Where it could not be kept and another holds
    the intent, the outcome of ours is dropped.
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
        self._engine = transactions.engine
        self._holder = transactions.holder
        self._intents = intents
        self._call = call
        self._poll = poll
        self._lease = lease
        self._linger = linger
        self._batch = batch
        self._concurrency = concurrency
        self._longest_delay = longest_delay
        self._held: dict[str, _Held] = {}
        self._due: asyncio.Queue[_Held] = asyncio.Queue()
        self._outcomes: Batcher[tuple[_Held, Any]] = Batcher()
        self._closing = False
        self._in_hand = 0  # calls in the air and outcomes not yet settled
        self._empty_handed = asyncio.Event()
        self._empty_handed.set()

    def has_room(self) -> bool:
        """Whether this process may take more into its memory; the rest is left to the poll."""
        return self._room() > 0

    def wake(self, due: Sequence[Due]) -> None:
        """Take up what this process has just committed, or found, and leased."""
        until = asyncio.get_running_loop().time() + self._lease
        for one in due:
            held = self._held.get(one.intent.key)
            if held is not None and not held.settling:  # else that call is to be made anew
                held.until = until  # still in hand: its lease had run out, and nobody else took it
                continue
            held = self._held[one.intent.key] = _Held(one, until)
            self._due.put_nowait(held)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(self._recover()))
            group.create_task(as_failure(self._keep_leases()))
            group.create_task(as_failure(self._settle()))
            for _ in range(self._concurrency):
                group.create_task(as_failure(self._make_calls()))

    async def finish(self, grace: float) -> None:
        """Begin no more calls, settle those in the air for at most `grace` seconds, and hand back the leases
        of the others. A call whose outcome is thrown away is a call made twice."""
        self._closing = True
        if waiting := [self._due.get_nowait().due for _ in range(self._due.qsize())]:
            await self._hand_back(waiting, grace / 2)
        try:
            async with asyncio.timeout(grace):
                await self._empty_handed.wait()
        except TimeoutError:
            log.warning("stopped during calls: they will be repeated", calls=self._in_hand)

    async def _hand_back(self, waiting: list[Due], grace: float) -> None:
        for due in waiting:
            self._held.pop(due.intent.key, None)
        try:
            async with asyncio.timeout(grace):
                await release(self._engine, waiting, self._holder)
        except Exception:
            log.exception("leases not released", intents=len(waiting))

    def _room(self) -> int:
        return 0 if self._closing else _MOST_HELD - len(self._held)

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            try:
                await self._take_left_over()
            except Exception:
                log.exception("intent poll failed")

    async def _take_left_over(self) -> None:
        while (limit := min(self._batch, self._room())) > 0:
            found = await lease_left_over(self._engine, self._lease, limit, self._holder)
            self.wake(found)
            if len(found) < limit:
                return

    async def _keep_leases(self) -> None:
        """One statement every few seconds for what has been in hand for long, none for what has not."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._lease / 6)
            now = loop.time()
            ageing = {key: held for key, held in self._held.items() if held.until - now < self._lease * 2 / 3}
            if not ageing:
                continue
            try:
                kept = await keep(self._engine, list(ageing), self._lease, self._holder)
            except Exception:
                log.exception("leases not extended", intents=len(ageing))
                continue
            for key in kept:
                ageing[key].until = now + self._lease

    async def _make_calls(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            held = await self._due.get()
            if self._closing:
                self._due.put_nowait(held)
                return
            if held.until - loop.time() < self._lease / 3:
                self._drop(held)  # its lease could not be kept: the poll will find it, here or elsewhere
                continue
            due = held.due
            self._take_in_hand()
            try:
                with trace_context(due.traceparent, due.intent.subject), as_broken_connection():
                    outcome = await self._call(due.intent)
            except Exception as error:
                await self._try_again(held, error)
                self._let_go(1)
            else:
                self._outcomes.put([(held, outcome)])

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

    def _drop(self, held: _Held) -> None:
        if self._held.get(held.due.intent.key) is held:
            del self._held[held.due.intent.key]

    async def _settle_batch(self, outcomes: list[tuple[_Held, Any]]) -> None:
        """An outage is waited out with the outcomes in hand: without them the calls would be made again."""
        delay = 0.1
        while True:
            try:
                await self._commit(outcomes)
            except Exception as error:
                if not is_outage(error):
                    await self._settle_failed(outcomes, error)
                    return
                log.warning(
                    "database unavailable, retrying outcomes", outcomes=len(outcomes), error=reason(error)
                )
                await asyncio.sleep(delay * random.uniform(0.5, 1))
                delay = min(delay * 2, 2.0)
            else:
                break
        for held, _ in outcomes:
            self._drop(held)

    async def _settle_failed(self, outcomes: list[tuple[_Held, Any]], error: Exception) -> None:
        if len(outcomes) == 1:
            await self._try_again(outcomes[0][0], error)
            return
        for outcome in outcomes:
            await self._settle_batch([outcome])

    async def _commit(self, outcomes: list[tuple[_Held, Any]]) -> None:
        settling = [held for held, _ in outcomes]
        _mark(settling, now=True)
        try:
            async with self._transactions() as tx:
                due = [held.due for held in settling]
                fresh = await take_settled(tx.session, due, self._holder)
                await self._lock(tx, due)
                for held, outcome in outcomes:
                    await self._settle_one(held.due, outcome, tx, fresh)
        except BaseException:
            _mark(settling, now=False)
            raise

    async def _settle_one(self, due: Due, outcome: Any, tx: SqlTx, fresh: set[str]) -> None:
        if due.intent.key in fresh:
            tx.cause = due.causation_id
            with trace_context(due.traceparent, due.intent.subject):
                await self._intents[due.intent.kind].run(due.intent, outcome, tx)
        else:
            log.warning("outcome dropped: the lease was lost", intent=due.intent.key)

    async def _lock(self, tx: SqlTx, due: list[Due]) -> None:
        if self._intents.locks is not None:
            await tx.lock([pair for one in due for pair in self._intents.locks(one.intent)])

    async def _try_again(self, held: _Held, error: Exception) -> None:
        due = held.due
        self._drop(held)
        why = reason(error)
        with trace_context(due.traceparent, due.intent.subject):
            if isinstance(error, OutcomePending):
                delay = error.again_in
                log.info("outcome pending", intent=due.intent.key, attempts=due.attempts + 1, why=why)
            else:
                delay = min(self._longest_delay, 2.0 ** min(due.attempts, 30))
                log.warning("outcome unknown", intent=due.intent.key, attempts=due.attempts + 1, error=why)
            delay *= random.uniform(0.5, 1)
            try:
                await again(self._engine, due, why, delay, self._holder)
            except Exception:
                log.exception("lease not released", intent=due.intent.key)


def _mark(settling: list[_Held], *, now: bool) -> None:
    for held in settling:
        held.settling = now
