"""CPU and memory of every program of a stack, children included."""

from collections.abc import Mapping
from contextlib import suppress

import psutil

from shop.stack import Stack
from shop.stack.supervisor import Supervisor


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time since each program began, with that of children that have ended."""
    return {name: _cpu(psutil.Process(pid)) for name, pid in _pids(stack).items()}


def resident_bytes(stack: Stack) -> dict[str, int]:
    """Memory resident per program. A page that processes share counts once for all of them (PSS)."""
    return {name: _resident(psutil.Process(pid)) for name, pid in _pids(stack).items()}


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def _pids(stack: Stack) -> dict[str, int]:
    supervisor = Supervisor(stack)
    pids = {name: info["pid"] for name, info in supervisor.info().items() if info["pid"]}
    return {**pids, "supervisor": supervisor.pid()}


def _cpu(process: psutil.Process) -> float:
    total = 0.0
    for one in _family(process):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in _family(process):
        with suppress(psutil.NoSuchProcess):
            memory = one.memory_full_info()
            total += getattr(memory, "pss", memory.rss)
    return total


def _family(process: psutil.Process) -> list[psutil.Process]:
    """Supervisord's own children are programs, each counted for itself."""
    if process.name() == "supervisord":
        return [process]
    return [process, *process.children(recursive=True)]
