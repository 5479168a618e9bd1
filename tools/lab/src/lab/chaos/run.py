"""One chaos run from end to end: start the shop, inject faults under load, let it settle, check every
promise."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import Progress

from devstack import Stack
from devstack.down import down
from devstack.programs import programs
from devstack.up import up
from lab.bench.machine import describe
from lab.chaos.checker import violations
from lab.chaos.delays import with_reasons
from lab.chaos.faults import FaultInjector
from lab.chaos.network import proxied
from lab.chaos.observer import Observer
from lab.chaos.plan import FIRST_AT, Fault
from lab.chaos.recovery import Recovery, first_accepted, longest_pause, recoveries
from lab.chaos.repair import repair
from lab.chaos.report import LoadSummary, Report
from lab.chaos.shoppers import Shoppers
from notification.operations import UNDELIVERABLE
from shop.ledger import CHECKS, Evidence
from shop.ledger.gather import gather

START_SECONDS = 150
QUIET_SECONDS = 300  # the longest retry delay is a minute, and so is a lease
PAID_TIMEOUT = 120  # with `apart`: after one fault, for an order to be paid again
APART_PAUSE = 3  # and then before the next fault


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
            return await _Run(stack, options, FaultInjector(stack, proxies), progress).run()
        finally:
            await asyncio.to_thread(down, stack, programs(stack), lambda _: None)


async def _start(stack: Stack, console: Console | None = None) -> None:
    def note(name: str, state: str, seconds: float) -> None:
        if console and state == "ready":
            console.print(f"{name} is ready ({seconds:.1f} s)", highlight=False, markup=False)

    known = programs(stack)
    await asyncio.to_thread(up, stack, known, known, note, START_SECONDS)


class _Run:
    def __init__(self, stack: Stack, options: Options, faults: FaultInjector, progress: Progress) -> None:
        self._stack = stack
        self._options = options
        self._faults = faults
        self._progress = progress
        self._shoppers = Shoppers(stack, options.seed, options.shoppers)
        self._history = self._shoppers.history
        self._observer = Observer(stack, self._history.checkouts)
        self._begun = 0

    async def run(self) -> Report:
        machine = await describe(self._stack)
        await self._shoppers.stock()
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(self._observer.run())
            started = time.monotonic()
            await self._inject_under_load(started)
            seconds = time.monotonic() - started
            settled, nudged = await self._settle()
            observing.cancel()
        await self._shoppers.read_accounts()
        await self._shoppers.aclose()
        evidence = await gather(self._stack)
        found = recoveries(self._faults.injected, self._history.checkouts)
        explained = await with_reasons(self._stack, found, self._history.checkouts, self._faults.injected)
        return self._report(machine, evidence, seconds, settled, nudged, explained)

    async def _inject_under_load(self, started: float) -> None:
        async with asyncio.TaskGroup() as group:
            shopping = group.create_task(self._shoppers.run())
            watching = group.create_task(self._show_progress(started))
            if self._options.apart:
                injecting = [group.create_task(self._inject_apart(started))]
            else:
                injecting = [group.create_task(self._inject(fault, started)) for fault in self._options.plan]
            await asyncio.sleep(self._options.seconds)
            self._shoppers.stop()
            await asyncio.wait([shopping, *injecting])
            watching.cancel()

    async def _inject(self, fault: Fault, started: float) -> None:
        await asyncio.sleep(started + fault.at - time.monotonic())
        self._begun += 1
        self._print(f"{fault.at:6.1f} s  {fault}")
        await self._faults.inject(fault)

    async def _inject_apart(self, started: float) -> None:
        await asyncio.sleep(FIRST_AT)
        for fault in self._options.plan:
            at = time.monotonic() - started
            if at + fault.seconds > self._options.seconds:
                return
            await self._inject(replace(fault, at=round(at, 1)), started)
            since = time.monotonic()
            while (
                time.monotonic() - since < PAID_TIMEOUT
                and first_accepted(since, self._history.checkouts) is None
            ):
                await asyncio.sleep(0.2)
            await asyncio.sleep(APART_PAUSE)

    async def _show_progress(self, started: float) -> None:
        bar = self._progress.add_task("", total=self._options.seconds)
        while True:
            counts = f"{len(self._history.checkouts)} checkouts, {self._observer.pending} pending"
            doing = f"{counts}, {self._begun} of {len(self._options.plan)} faults"
            self._progress.update(bar, completed=time.monotonic() - started, description=doing)
            await asyncio.sleep(0.5)

    def _print(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False)

    async def _settle(self) -> tuple[float, dict[str, int]]:
        """Remove all faults. Returns after how many seconds nothing was in progress any more, and how many
        orders had to be nudged, by kind of issue."""
        began, since = time.monotonic(), datetime.now(UTC)
        self._print("no more faults: everything is started again")
        await _start(self._stack)
        await self._faults.remove_all()
        unanswered = sum(not one.is_answered for one in self._history.checkouts)
        self._print(f"repeating {unanswered} checkouts that were not answered, and other requests")
        await self._shoppers.resolve()
        self._print("nudging stuck orders, until nothing is in progress")
        nudged = await repair(self._stack, QUIET_SECONDS, since)
        return round(time.monotonic() - began, 1), nudged

    def _report(
        self,
        machine: dict[str, str | int],
        evidence: Evidence,
        seconds: float,
        settled: float,
        nudged: dict[str, int],
        recovered: list[Recovery],
    ) -> Report:
        checkouts = self._history.checkouts
        return Report(
            seed=self._options.seed,
            seconds=round(seconds, 1),
            settled_after=settled,
            brokers=self._stack.brokers,
            replicas=self._stack.replicas,
            machine=machine,
            weather=LoadSummary(
                checkouts=len(checkouts),
                accepted=sum(bool(one.order_ids) for one in checkouts),
                refused=dict(Counter(one.refused[:3] for one in checkouts if one.refused)),
                gone_away=self._shoppers.given_up,
                per_second=round(len({order.order_id for order in evidence.orders}) / seconds, 1),
                ended=dict(Counter(order.status for order in evidence.orders)),
                cancelled_for=dict(Counter(order.reason for order in evidence.orders if order.reason)),
                answers=dict(self._shoppers.responses.counted),
                undeliverable=dict(Counter(one.fate for one in evidence.kept if one.fate in UNDELIVERABLE)),
                longest_pause=longest_pause(checkouts),
                beside=self._history.counts(),
            ),
            faults=dict(Counter(one.fault.kind for one in self._faults.injected)),
            spoilt=[f"{fault}: {error}" for fault, error in self._faults.failed],
            nudged=nudged,
            apart=self._options.apart,
            recoveries=recovered,
            amiss={
                **violations(self._history, evidence),
                "crashed": self._shoppers.responses.crashes,
                **{check.name: list(check.violations(evidence)) for check in CHECKS},
            },
        )
