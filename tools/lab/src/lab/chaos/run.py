"""One run from end to end: start, storm, settle, look."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from devstack import Stack
from devstack.down import down
from devstack.programs import programs
from devstack.up import up
from lab.bench.machine import describe
from lab.chaos import network, witness
from lab.chaos.evidence import with_reasons
from lab.chaos.faults import Faults
from lab.chaos.healing import heal
from lab.chaos.onlooker import Onlooker
from lab.chaos.plan import FIRST_AT, Fault
from lab.chaos.recovery import Recovery, first_accepted, longest_pause, recoveries
from lab.chaos.report import Report, Weather
from lab.chaos.shoppers import Shoppers
from notification.operations import UNDELIVERABLE
from shop.ledger import CHECKS, Evidence
from shop.ledger.gather import gather

START_SECONDS = 150
QUIET_SECONDS = 300  # the longest rung of the retries is a minute, and so is a lease
APART_SECONDS = 120  # one fault's, for an order to be paid again
APART_REST = 3
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """What a run is given; `seconds` is how long faults are injected."""

    seed: int
    seconds: float
    shoppers: int
    plan: Sequence[Fault]
    apart: bool = False  # one fault at a time, the next once an order placed since was paid


@dataclass(frozen=True)
class Now:
    """How far a storm is, for whoever watches."""

    seconds: float
    checkouts: int
    pending: int
    faults: int


async def storm(stack: Stack, terms: Terms, tell: Tell, watch: Callable[[Now], None]) -> Report:
    """The stack is left stopped. Raises ShopError when the shop does not start or does not come back."""
    gates = await network.build(stack)
    through = replace(stack, settings=network.settings(stack, gates))
    try:
        await _start(through, tell)
        return await _Storm(through, terms, Faults(through, gates.all), tell, watch).run()
    finally:
        await asyncio.to_thread(down, through, programs(through), lambda _: None)
        await gates.close()


async def _start(stack: Stack, tell: Tell) -> None:
    def note(name: str, state: str, seconds: float) -> None:
        if state == "ready":
            tell(f"{name} is ready ({seconds:.1f} s)")

    known = programs(stack)
    await asyncio.to_thread(up, stack, known, known, note, START_SECONDS)


class _Storm:
    def __init__(
        self, stack: Stack, terms: Terms, faults: Faults, tell: Tell, watch: Callable[[Now], None]
    ) -> None:
        self._stack = stack
        self._terms = terms
        self._faults = faults
        self._tell = tell
        self._watch = watch
        self._shoppers = Shoppers(stack, terms.seed, terms.shoppers)
        self._memory = self._shoppers.memory
        self._onlooker = Onlooker(stack, self._memory.checkouts)
        self._begun = 0

    async def run(self) -> Report:
        machine = await describe(self._stack)
        await self._shoppers.stock()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._onlooker.look_on())
            started = time.monotonic()
            await self._rage(started)
            lasted = time.monotonic() - started
            settled, nudged = await self._settle()
            looking.cancel()
        await self._shoppers.look()
        await self._shoppers.aclose()
        seen = await gather(self._stack)
        recovered = recoveries(self._faults.injected, self._memory.checkouts)
        told = await with_reasons(self._stack, recovered, self._memory.checkouts, self._faults.injected)
        return self._report(machine, seen, lasted, settled, nudged, told)

    async def _rage(self, started: float) -> None:
        async with asyncio.TaskGroup() as group:
            shopping = group.create_task(self._shoppers.run())
            watching = group.create_task(self._keep_watched(started))
            if self._terms.apart:
                breaking = [group.create_task(self._one_by_one(started))]
            else:
                breaking = [group.create_task(self._inject(fault, started)) for fault in self._terms.plan]
            await asyncio.sleep(self._terms.seconds)
            self._shoppers.stop()
            await asyncio.wait([shopping, *breaking])
            watching.cancel()

    async def _inject(self, fault: Fault, started: float) -> None:
        await asyncio.sleep(started + fault.at - time.monotonic())
        self._begun += 1
        self._tell(f"{fault.at:6.1f} s  {fault}")
        await self._faults.inject(fault)

    async def _one_by_one(self, started: float) -> None:
        await asyncio.sleep(FIRST_AT)
        for fault in self._terms.plan:
            at = time.monotonic() - started
            if at + fault.seconds > self._terms.seconds:
                return
            await self._inject(replace(fault, at=round(at, 1)), started)
            await self._until_paid_again(time.monotonic())

    async def _until_paid_again(self, since: float) -> None:
        """Then a little longer, for what was held back to go through."""
        while (
            time.monotonic() - since < APART_SECONDS and first_accepted(since, self._memory.checkouts) is None
        ):
            await asyncio.sleep(0.2)
        await asyncio.sleep(APART_REST)

    async def _keep_watched(self, started: float) -> None:
        while True:
            checkouts = len(self._memory.checkouts)
            self._watch(Now(time.monotonic() - started, checkouts, self._onlooker.pending, self._begun))
            await asyncio.sleep(0.5)

    async def _settle(self) -> tuple[float, dict[str, int]]:
        """Everything is made well; returns after how many seconds nothing was on its way any more, and how
        many orders had to be nudged, by what was found."""
        began, over = time.monotonic(), datetime.now(UTC)
        self._tell("the storm is over: everything is started again")
        await _start(self._stack, lambda _: None)
        await self._faults.lift()
        unanswered = sum(not one.is_answered for one in self._memory.checkouts)
        self._tell(f"{unanswered} checkouts without an answer are repeated with the same key, and the rest")
        await self._shoppers.resolve()
        self._tell("nudging what was lost, until nothing is on its way")
        nudged = await heal(self._stack, QUIET_SECONDS, over)
        return round(time.monotonic() - began, 1), nudged

    def _report(
        self,
        machine: dict[str, str | int],
        seen: Evidence,
        lasted: float,
        settled: float,
        nudged: dict[str, int],
        recovered: list[Recovery],
    ) -> Report:
        checkouts = self._memory.checkouts
        findings = {check.name: list(check.violations(seen)) for check in CHECKS}
        status = {order.order_id: order for order in seen.orders}
        ended = Counter(order.status for order in seen.orders)
        reasons = Counter(order.reason for order in seen.orders if order.reason)
        return Report(
            seed=self._terms.seed,
            seconds=round(lasted, 1),
            settled_after=settled,
            brokers=self._stack.brokers,
            replicas=self._stack.replicas,
            machine=machine,
            weather=Weather(
                checkouts=len(checkouts),
                accepted=sum(bool(one.order_ids) for one in checkouts),
                refused=dict(Counter((one.refused or "")[:3] for one in checkouts if one.refused)),
                gone_away=self._shoppers.given_up,
                per_second=round(len(status) / lasted, 1),
                ended=dict(ended),
                cancelled_for=dict(reasons),
                answers=dict(self._shoppers.answers.counted),
                undeliverable=dict(Counter(one.fate for one in seen.kept if one.fate in UNDELIVERABLE)),
                longest_pause=longest_pause(checkouts),
                beside=self._memory.counted(),
            ),
            faults=dict(Counter(one.fault.kind for one in self._faults.injected)),
            spoilt=[f"{fault}: {why}" for fault, why in self._faults.spoilt],
            nudged=nudged,
            apart=self._terms.apart,
            recoveries=recovered,
            amiss={
                "lost": list(witness.lost(self._memory, seen)),
                "doubled": list(witness.doubled(self._memory, seen)),
                "stuck": list(witness.stuck(self._memory, seen)),
                "wrong": list(witness.wrong(self._memory, seen)),
                "crashed": self._shoppers.answers.crashes,
                **findings,
            },
        )
