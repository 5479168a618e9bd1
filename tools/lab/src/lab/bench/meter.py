"""CPU and memory of every program of a stack, children included."""

from collections.abc import Mapping
from contextlib import suppress

import psutil

from devstack import Stack
from devstack.supervisor import Supervisor


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time of each program's processes that live; both pools keep theirs open."""
    return {name: sum(map(_cpu, family)) for name, family in _families(stack).items()}


def resident_bytes(stack: Stack) -> dict[str, int]:
    """Memory resident per program. A page that processes share counts once for all of them (PSS)."""
    return {name: sum(map(_resident, family)) for name, family in _families(stack).items()}


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def _families(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Each program with its children; supervisord's children are the programs, it stands for itself."""
    supervisor = Supervisor(stack)
    families = {"supervisor": [psutil.Process(supervisor.pid())]}
    for name, info in supervisor.info().items():
        if info["pid"]:
            process = psutil.Process(info["pid"])
            families[name] = [process, *process.children(recursive=True)]
    return families


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return 0
