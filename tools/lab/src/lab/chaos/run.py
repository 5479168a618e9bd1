"""One chaos run: start the shop, inject faults under load, let it settle, check every promise."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import asyncpg
from rich.console import Console
from rich.progress import Progress

from devstack import Stack
from devstack.down import down
from devstack.programs import programs
from devstack.up import up
from lab.chaos.checker import violations
from lab.chaos.faults import FaultInjector
from lab.chaos.history import Checkout
from lab.chaos.network import proxied
from lab.chaos.plan import FIRST_AT, Fault
from lab.chaos.recovery import first_accepted, longest_pause, recoveries, with_reasons
from lab.chaos.repair import repair
from lab.chaos.report import LoadSummary, Report
from lab.chaos.shoppers import Shoppers
from lab.services import describe, fetch
from notification.operations import UNDELIVERABLE
from shop.ledger import CHECKS, Evidence
from shop.ledger.gather import gather

START_SECONDS = 150
QUIET_SECONDS = 300  # the longest retry delay is a minute, and so is a lease
PAID_TIMEOUT = 120  # with `apart`: after one fault, for an order to be paid again
APART_PAUSE = 3  # and then before the next fault
OBSERVE_SECONDS = 0.5
_UNAVAILABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_ENDED = "SELECT order_id::text, status FROM orders WHERE status <> 'pending' AND order_id = ANY($1::uuid[])"


@dataclass(frozen=True)
class Options:
    """`seconds` is how long faults are injected."""

    seed: int
    seconds: float
    shoppers: int
    plan: Sequence[Fault]
    apart: bool = False  # one fault at a time, the next once an order placed since was paid


async def run(stack: Stack, options: Options, progress: Progress) -> Report:
    """The stack is left stopped. Raises ShopError when the shop does not start or does not come back."""
    async with proxied(stack) as (stack, proxies):
        try:
            await _start(stack, progress.console)
            shoppers = Shoppers(stack, options.seed, options.shoppers)
            return await _Run(stack, options, FaultInjector(stack, proxies), progress, shoppers).run()
        finally:
            await asyncio.to_thread(down, stack, programs(stack), lambda _: None)


async def _start(stack: Stack, console: Console | None = None) -> None:
    def note(name: str, state: str, seconds: float) -> None:
        if console and state == "ready":
            console.print(f"{name} is ready ({seconds:.1f} s)", highlight=False, markup=False)

    known = programs(stack)
    await asyncio.to_thread(up, stack, known, known, note, START_SECONDS)


async def _observe(stack: Stack, checkouts: Sequence[Checkout]) -> None:
    """Note in the checkouts when their orders have ended, past everything that is being broken, until
    cancelled; nothing is noted while the database is unavailable."""
    while True:
        await asyncio.sleep(OBSERVE_SECONDS)
        pending = {order_id: one for one in checkouts if one.is_pending for order_id in one.order_ids}
        with suppress(*_UNAVAILABLE):
            for row in await fetch(stack, "order", _ENDED, list(pending)):
                ended = pending[row["order_id"]]
                ended.status, ended.ended_at = row["status"], time.monotonic()


@dataclass
class _Run:
    stack: Stack
    options: Options
    faults: FaultInjector
    progress: Progress
    shoppers: Shoppers
    begun: int = 0

    async def run(self) -> Report:
        machine, history = await describe(self.stack), self.shoppers.history
        await self.shoppers.stock()
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(_observe(self.stack, history.checkouts))
            started = time.monotonic()
            await self._inject_under_load(started)
            seconds = time.monotonic() - started
            settled, nudged = await self._settle()
            observing.cancel()
        await self.shoppers.actions.read_accounts()
        await self.shoppers.aclose()
        evidence = await gather(self.stack)
        found = recoveries(self.faults.injected, history.checkouts)
        return Report(
            seed=self.options.seed,
            seconds=round(seconds, 1),
            settled_after=settled,
            brokers=self.stack.brokers,
            replicas=self.stack.replicas,
            machine=machine,
            weather=self._summary(evidence, seconds),
            faults=dict(Counter(one.fault.kind for one in self.faults.injected)),
            spoilt=[f"{fault}: {error}" for fault, error in self.faults.failed],
            nudged=nudged,
            apart=self.options.apart,
            recoveries=await with_reasons(self.stack, found, history.checkouts, self.faults.injected),
            amiss={
                **violations(history, evidence),
                "crashed": self.shoppers.responses.crashes,
                **{check.name: list(check.violations(evidence)) for check in CHECKS},
            },
        )

    async def _inject_under_load(self, started: float) -> None:
        async with asyncio.TaskGroup() as group:
            shopping = group.create_task(self.shoppers.run())
            watching = group.create_task(self._show_progress(started))
            if self.options.apart:
                injecting = [group.create_task(self._inject_apart(started))]
            else:
                injecting = [group.create_task(self._inject(fault, started)) for fault in self.options.plan]
            await asyncio.sleep(self.options.seconds)
            self.shoppers.stopping.set()
            await asyncio.wait([shopping, *injecting])
            watching.cancel()

    async def _inject(self, fault: Fault, started: float) -> None:
        await asyncio.sleep(started + fault.at - time.monotonic())
        self.begun += 1
        self._print(f"{fault.at:6.1f} s  {fault}")
        await self.faults.inject(fault)

    async def _inject_apart(self, started: float) -> None:
        await asyncio.sleep(FIRST_AT)
        for fault in self.options.plan:
            at = time.monotonic() - started
            if at + fault.seconds > self.options.seconds:
                return
            await self._inject(replace(fault, at=round(at, 1)), started)
            since = time.monotonic()
            while (
                time.monotonic() - since < PAID_TIMEOUT
                and first_accepted(since, self.shoppers.history.checkouts) is None
            ):
                await asyncio.sleep(0.2)
            await asyncio.sleep(APART_PAUSE)

    async def _show_progress(self, started: float) -> None:
        bar = self.progress.add_task("", total=self.options.seconds)
        while True:
            checkouts = self.shoppers.history.checkouts
            counts = f"{len(checkouts)} checkouts, {sum(one.is_pending for one in checkouts)} pending"
            doing = f"{counts}, {self.begun} of {len(self.options.plan)} faults"
            self.progress.update(bar, completed=time.monotonic() - started, description=doing)
            await asyncio.sleep(0.5)

    def _print(self, line: str) -> None:
        self.progress.console.print(line, highlight=False, markup=False)

    async def _settle(self) -> tuple[float, dict[str, int]]:
        """Remove all faults. Returns after how many seconds nothing was in progress any more, and how many
        orders had to be nudged, by kind of issue."""
        began, since = time.monotonic(), datetime.now(UTC)
        self._print("no more faults: everything is started again")
        await _start(self.stack)
        await self.faults.remove_all()
        unanswered = sum(not one.is_answered for one in self.shoppers.history.checkouts)
        self._print(f"repeating {unanswered} checkouts that were not answered, and other requests")
        await self.shoppers.resolve()
        self._print("nudging stuck orders, until nothing is in progress")
        nudged = await repair(self.stack, QUIET_SECONDS, since)
        return round(time.monotonic() - began, 1), nudged

    def _summary(self, evidence: Evidence, seconds: float) -> LoadSummary:
        checkouts = self.shoppers.history.checkouts
        return LoadSummary(
            checkouts=len(checkouts),
            accepted=sum(bool(one.order_ids) for one in checkouts),
            refused=dict(Counter(one.refused[:3] for one in checkouts if one.refused)),
            gone_away=self.shoppers.given_up,
            per_second=round(len({order.order_id for order in evidence.orders}) / seconds, 1),
            ended=dict(Counter(order.status for order in evidence.orders)),
            cancelled_for=dict(Counter(order.reason for order in evidence.orders if order.reason)),
            answers=dict(self.shoppers.responses.counted),
            undeliverable=dict(Counter(one.fate for one in evidence.kept if one.fate in UNDELIVERABLE)),
            longest_pause=longest_pause(checkouts),
            beside=self.shoppers.history.counts(),
        )
