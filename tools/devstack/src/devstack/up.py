"""Start what is not running, in parallel where no program has to wait for another, until all is ready."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from devstack import ports
from devstack.down import stop_orphans
from devstack.layout import exclusive, last_lines
from devstack.program import Program
from devstack.stack import Stack
from devstack.supervisor import Info, Supervisor
from shop.errors import ShopError

Progress = Callable[[str, Literal["waiting", "starting", "ready", "already running"], float], None]
_POLL_SECONDS = 0.1
_ASK_SECONDS = 0.5
_STARTS_ALLOWED = 3
_LINES_OF_LOG = 12


@dataclass(frozen=True)
class Started:
    name: str
    seconds: float  # until it was ready
    already_running: bool


def up(
    stack: Stack, chosen: Sequence[Program], known: Sequence[Program], progress: Progress, timeout: float
) -> list[Started]:
    """Bring the chosen programs up; `known` are all programs that a running supervisord may manage already.

    `timeout` in seconds is for each program. Raises ShopError when a port is taken or a program does not
    become ready; what has been started by then keeps running, to be inspected.
    """
    with exclusive(stack.layout):
        supervisor = Supervisor(stack)
        running = supervisor.running() if supervisor.is_alive() else set()
        if not supervisor.is_alive():
            stop_orphans(stack)
        stack.sockets.mkdir(parents=True, exist_ok=True)
        stack.sockets.chmod(0o711)  # PostgreSQL, as its own user, passes through to its folder in it
        stack.layout.log("any").parent.mkdir(parents=True, exist_ok=True)
        _check_ports(stack, [name for one in chosen if one.name not in running for name in one.ports])
        kept = set(supervisor.info()) if supervisor.is_alive() else set()
        names = kept | {program.name for program in chosen}
        supervisor.configure([program for program in known if program.name in names])
        return asyncio.run(_Start(stack, supervisor, chosen, progress, timeout).run())


def _check_ports(stack: Stack, names: Iterable[str]) -> None:
    for name in names:
        if not ports.is_free(port := stack.ports[name]):
            raise ShopError(
                f"port {port} ({name}) is taken by {ports.holder(port)}: "
                "stop it, or choose other ports with `shop up --port-base`"
            )


@dataclass
class _Start:
    stack: Stack
    supervisor: Supervisor
    chosen: Sequence[Program]
    progress: Progress
    timeout: float

    def __post_init__(self) -> None:
        self._settled = {program.name: asyncio.Event() for program in self.chosen}
        self._running = self.supervisor.running()
        self._asked, self._infos = time.monotonic(), self.supervisor.info()

    async def run(self) -> list[Started]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._bring_up(program)) for program in self.chosen]
        except* ShopError as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _bring_up(self, program: Program) -> Started:
        self.progress(program.name, "waiting", 0)
        for name in program.after:
            if name in self._settled:
                await self._settled[name].wait()
        began = time.monotonic()
        already = program.name in self._running
        if not already:
            self.progress(program.name, "starting", 0)
            await asyncio.to_thread(program.prepare, self.stack)
            self.supervisor.start(program.name)
        await self._until_ready(program)
        await program.settle(self.stack, frozenset(self._settled))
        self._settled[program.name].set()
        seconds = time.monotonic() - began
        self.progress(program.name, "already running" if already else "ready", seconds)
        return Started(program.name, round(seconds, 2), already)

    async def _until_ready(self, program: Program) -> None:
        deadline = time.monotonic() + self.timeout
        starts = set()
        while not await program.is_ready(self.stack):
            starts.add(self._info(program.name)["start"])
            if len(starts - {0}) == _STARTS_ALLOWED:
                raise self._failure(program, "exits repeatedly")
            if time.monotonic() > deadline:
                raise self._failure(program, f"was not ready after {self.timeout:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    def _info(self, name: str) -> Info:
        """Asked for all programs together, twice a second: supervisord shares the busy machine."""
        if time.monotonic() > self._asked + _ASK_SECONDS:
            self._asked, self._infos = time.monotonic(), self.supervisor.info()
        return self._infos[name]

    def _failure(self, program: Program, what: str) -> ShopError:
        log = self.stack.layout.log(program.name)
        end = last_lines(log, _LINES_OF_LOG)
        return ShopError("\n".join([f"{program.name} {what}; the end of {log}:", *end]))
