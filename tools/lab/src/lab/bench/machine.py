"""The machine that figures come from, and what CPU and memory each program of a stack uses there."""

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil

from devstack import Stack, rabbitmq
from devstack.status import family, memory
from devstack.supervisor import Supervisor
from lab.services import fetch


async def describe(stack: Stack) -> dict[str, str | int]:
    async with rabbitmq.management(stack) as broker:
        overview = await broker.get("overview")
    [postgresql] = await fetch(stack, "order", "SHOW server_version")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rabbitmq": overview["rabbitmq_version"],
        "postgresql": postgresql["server_version"],
    }


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time of each program's running processes. PostgreSQL's backends keep running: the
    services' pools hold their connections open."""
    return {name: sum(map(_cpu, processes)) for name, processes in _families(stack).items()}


def resident_bytes(stack: Stack) -> dict[str, int]:
    """Resident memory of each program. A page that processes share counts once for all of them (PSS)."""
    used = {name: memory(processes) for name, processes in _families(stack).items()}
    return {name: pss or rss for name, (rss, pss) in used.items()}


def _processor() -> str:
    """The CPU's name from the kernel."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _families(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Each program's processes, children included; supervisord's own children are the programs."""
    supervisor = Supervisor(stack)
    programs = {name: family(info["pid"]) for name, info in supervisor.info().items() if info["pid"]}
    return {"supervisor": [psutil.Process(supervisor.pid())], **programs}


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
