"""Makes the remote calls of committed intents, and commits the effects of their outcomes in batches."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from chassis.messaging.tasks import Batcher, as_broken_connection, as_failure
from chassis.runtime.settings import ServiceSettings
from chassis.runtime.wakeup import SOON_SECONDS, Poll, due_in
from chassis.saga.intents import (
    Call,
    Due,
    Intents,
    OutcomePending,
    delete_settled,
    extend_leases,
    lease_available,
    postpone,
    release,
)
from chassis.storage.database import Transactions
from chassis.storage.raw_sql import through_outages
from chassis.storage.tx import SqlTx
from chassis.telemetry.logs import trace_context
from chassis.telemetry.privacy import reason

log = structlog.get_logger()

_MAX_LEASED = 500


@dataclass(eq=False)
class _Leased:
    """An intent leased by this process: its call is waiting or under way, or its outcome is not settled yet.

    `until`: when its lease ends, on the event loop's clock.
    `settling`: whether its outcome is being committed.
    """

    due: Due
    until: float
    settling: bool = False


class IntentRunner:
    """Makes the calls of committed intents and settles their outcomes.

    A call that raises has an unknown outcome. It is repeated with a growing, jittered delay until the outcome
    is known: money is never left in doubt. If it raises `OutcomePending`, that names the delay.

    A lease is short, so that another process soon takes over the intents of one that was killed; it is
    extended for as long as the call takes. If that fails and another process leases the intent, this
    process's outcome is dropped.

    `intents`: the functions that handle the outcomes.
    `call`: makes one call and returns its outcome.
    `settings`: `outbox_poll`, `lease`, `settle_linger`, `consume_batch`, `intent_concurrency` and
        `intent_longest_delay` count here.
    """

    def __init__(
        self, transactions: Transactions, intents: Intents, call: Call, settings: ServiceSettings
    ) -> None:
        self._transactions = transactions
        self._engine = transactions.engine
        self._holder = transactions.holder
        self._intents = intents
        self._call = call
        self._settings = settings
        self._lease = settings.lease
        self._held: dict[str, _Leased] = {}
        self._due: asyncio.Queue[_Leased] = asyncio.Queue()
        self._outcomes: Batcher[tuple[_Leased, Any]] = Batcher()
        self._closing = False
        self._unfinished = 0  # calls under way and outcomes not settled yet
        self._idle = asyncio.Event()
        self._idle.set()
        self.poll = Poll("intents", settings.outbox_poll, self._recover)

    def has_room(self) -> bool:
        """Whether this process may hold more intents in memory; the others are left to the poll."""
        return self._room() > 0

    def wake(self, due: Sequence[Due]) -> None:
        """Queue intents that this process has leased, by committing them or by a poll."""
        until = asyncio.get_running_loop().time() + self._lease
        for one in due:
            held = self._held.get(one.intent.key)
            if held is not None and not held.settling:
                held.until = until  # its lease had run out, and this process has leased it again
                continue
            # New, or intended again by the outcome that is being settled: either way a new call.
            held = self._held[one.intent.key] = _Leased(one, until)
            self._due.put_nowait(held)

    def note_unleased(self) -> None:
        """Look soon for intents that no process has leased."""
        self.poll.within(SOON_SECONDS)

    async def run(self) -> None:
        """Make calls and settle outcomes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(as_failure(self.poll.run()))
            group.create_task(as_failure(self._keep_leases()))
            group.create_task(as_failure(self._settle()))
            for _ in range(self._settings.intent_concurrency):
                group.create_task(as_failure(self._make_calls()))

    async def finish(self, grace: float) -> None:
        """Begin no more calls, release the leases of those not begun, and settle those under way for at most
        `grace` seconds: a call whose outcome is not settled has to be repeated."""
        self._closing = True
        if waiting := [self._due.get_nowait().due for _ in range(self._due.qsize())]:
            await self._release(waiting, grace / 2)
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            log.warning("stopped during calls: they will be repeated", calls=self._unfinished)

    async def _release(self, waiting: list[Due], grace: float) -> None:
        for due in waiting:
            self._held.pop(due.intent.key, None)
        try:
            async with asyncio.timeout(grace):
                await release(self._engine, waiting, self._holder)
        except Exception:
            log.exception("leases not released", intents=len(waiting))

    def _room(self) -> int:
        return 0 if self._closing else _MAX_LEASED - len(self._held)

    async def _recover(self) -> float | None:
        while (limit := min(self._settings.consume_batch, self._room())) > 0:
            found = await lease_available(self._engine, self._lease, limit, self._holder)
            self.wake(found)
            if len(found) < limit:
                break
        return await due_in(self._engine, "intent")

    async def _keep_leases(self) -> None:
        """Extend the leases that have less than two thirds of their time left, all in one statement. Most
        calls end before that, and cost none."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._lease / 6)
            now = loop.time()
            ageing = {key: held for key, held in self._held.items() if held.until - now < self._lease * 2 / 3}
            if not ageing:
                continue
            try:
                extended = await extend_leases(self._engine, list(ageing), self._lease, self._holder)
            except Exception:
                log.exception("leases not extended", intents=len(ageing))
                continue
            for key in extended:
                ageing[key].until = now + self._lease

    async def _make_calls(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            held = await self._due.get()
            if self._closing:
                self._due.put_nowait(held)
                return
            if held.until - loop.time() < self._lease / 3:
                self._drop(held)  # its lease was not extended and ends soon: a poll finds it afterwards
                continue
            due = held.due
            self._unfinished += 1
            self._idle.clear()
            try:
                with trace_context(due.traceparent, due.intent.subject), as_broken_connection():
                    outcome = await self._call(due.intent)
            except Exception as error:
                await self._postpone(held, error)
                self._end(1)
            else:
                self._outcomes.put([(held, outcome)])

    async def _settle(self) -> None:
        while True:
            outcomes = await self._outcomes.batch(self._settings.consume_batch, self._settings.settle_linger)
            await self._settle_batch(outcomes)
            self._end(len(outcomes))

    def _end(self, count: int) -> None:
        self._unfinished -= count
        if not self._unfinished:
            self._idle.set()

    def _drop(self, held: _Leased) -> None:
        if self._held.get(held.due.intent.key) is held:
            del self._held[held.due.intent.key]

    async def _settle_batch(self, outcomes: list[tuple[_Leased, Any]]) -> None:
        """Keep the outcomes during an outage of the database: without them the calls would be repeated."""
        try:
            await through_outages(lambda: self._commit(outcomes))
        except Exception as error:
            if len(outcomes) == 1:
                await self._postpone(outcomes[0][0], error)
                return
            for outcome in outcomes:
                await self._settle_batch([outcome])
        else:
            for held, _ in outcomes:
                self._drop(held)

    async def _commit(self, outcomes: list[tuple[_Leased, Any]]) -> None:
        for held, _ in outcomes:
            held.settling = True
        try:
            async with self._transactions() as tx:
                due = [held.due for held, _ in outcomes]
                held_here = await delete_settled(tx.session, due, self._holder)
                if self._intents.locks is not None:
                    await tx.lock([pair for one in due for pair in self._intents.locks(one.intent)])
                for held, outcome in outcomes:
                    await self._settle_one(held.due, outcome, tx, held_here)
        except BaseException:
            for held, _ in outcomes:
                held.settling = False
            raise

    async def _settle_one(self, due: Due, outcome: Any, tx: SqlTx, held_here: set[str]) -> None:
        if due.intent.key in held_here:
            tx.cause = due.causation_id
            with trace_context(due.traceparent, due.intent.subject):
                await self._intents[due.intent.kind].run(due.intent, outcome, tx)
        else:
            log.warning("outcome dropped: the lease was lost", intent=due.intent.key)

    async def _postpone(self, held: _Leased, error: Exception) -> None:
        due = held.due
        self._drop(held)
        why = reason(error)
        with trace_context(due.traceparent, due.intent.subject):
            if isinstance(error, OutcomePending):
                delay = error.again_in
                log.info("outcome pending", intent=due.intent.key, attempts=due.attempts + 1, why=why)
            else:
                delay = min(self._settings.intent_longest_delay, 2.0 ** min(due.attempts, 30))
                log.warning("outcome unknown", intent=due.intent.key, attempts=due.attempts + 1, error=why)
            delay *= random.uniform(0.5, 1)
            try:
                await postpone(self._engine, due, why, delay, self._holder)
                self.poll.within(delay)
            except Exception:
                log.exception("lease not released", intent=due.intent.key)
