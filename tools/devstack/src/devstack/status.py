"""The state of every program of the stack."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import psutil

from devstack.program import Program
from devstack.rabbitmq import FIRST
from devstack.stack import Stack
from devstack.supervisor import Info, Supervisor
from shop.broker.checking import BrokerIssue, check, dead_letters, declared, unreachable
from shop.errors import ShopError


@dataclass(frozen=True)
class Status:
    """`rss` and `pss` in bytes, children included; pss counts shared pages once, Linux only."""

    name: str
    state: str
    pid: int | None = None
    uptime: int | None = None
    ready: bool = False
    rss: int | None = None
    pss: int | None = None
    address: str | None = None
    issues: tuple[BrokerIssue, ...] = ()  # of the broker, at its first node
    dead_letters: Mapping[str, int] = field(default_factory=dict)  # there too: queue to number of messages


def status(stack: Stack, known: Sequence[Program]) -> list[Status]:
    """The state of each program, and broker issues."""
    supervisor = Supervisor(stack)
    infos = supervisor.info() if supervisor.is_alive() else {}
    return asyncio.run(_gather(stack, known, infos))


async def _gather(stack: Stack, known: Sequence[Program], infos: dict[str, Info]) -> list[Status]:
    return await asyncio.gather(*(_one(stack, program, infos.get(program.name)) for program in known))


async def _with_broker_issues(stack: Stack, broker: Status) -> Status:
    """Checked now: the monitor may only see it at its next check."""
    try:
        issues, figures = await check(stack, declared(stack))
        dead = {queue: count for queue, count in dead_letters(figures).items() if count}
        return replace(broker, issues=tuple(issues), dead_letters=dead)
    except ShopError as error:
        return replace(broker, issues=(unreachable(error),))


async def _one(stack: Stack, program: Program, info: Info | None) -> Status:
    address = ", ".join(str(stack.ports[name]) for name in program.ports) or None
    if info is None or not info["pid"]:
        return Status(program.name, info["statename"].lower() if info else "stopped", address=address)
    state, pid, uptime = info["statename"].lower(), info["pid"], info["now"] - info["start"]
    ready, (rss, pss) = await program.is_ready(stack), memory(family(pid))
    found = Status(program.name, state, pid, uptime, ready, rss or None, pss or None, address)
    has_definitions = program.name == FIRST and stack.topology is not None
    return await _with_broker_issues(stack, found) if ready and has_definitions else found


def family(pid: int) -> list[psutil.Process]:
    """A process and its children; empty if it has ended."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def memory(processes: Iterable[psutil.Process]) -> tuple[int, int]:
    """Resident bytes of all of them, and PSS: 0 where the kernel does not know it."""
    rss = pss = 0
    for one in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            used = one.memory_full_info()
            rss += used.rss
            pss += getattr(used, "pss", 0)
    return rss, pss
