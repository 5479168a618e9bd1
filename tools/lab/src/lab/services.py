"""A running stack's services stopped and started, their databases read, their CPU and memory measured."""

import asyncio
import os
import platform
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from devstack import Stack, rabbitmq
from devstack.programs import choose, programs
from devstack.status import family, memory
from devstack.supervisor import Supervisor
from scenarios import Shop
from shop.errors import ShopError
from shop.remote import RemoteTarget
from shop.targets import Target

_STOP_SECONDS = 45
_START_SECONDS = 60


def scenario_shop(target: Target) -> Shop:
    """The target as scenarios need it. Services are stopped and started through the supervisor on this
    machine, elsewhere by the commands that the remote target names."""
    stop: Callable[[str], Awaitable[None]]
    start: Callable[[str], Awaitable[None]]
    if isinstance(target, RemoteTarget):
        stop, start = target.stop, target.start
    else:
        assert isinstance(target, Stack)
        stop, start = partial(stop_service, target), partial(_start_and_wait, target)
    return Shop(
        gateway_url=target.gateway_url,
        sandbox_url=target.sandbox_url,
        mailbox_url=target.mailbox_url,
        amqp_url=target.operator_amqp_url,
        admin_email=target.admin_email,
        admin_password=target.admin_password,
        stop=stop,
        start=start,
    )


async def stop_service(stack: Stack, service: str) -> None:
    """Stop all copies of a service gracefully. Returns when they have stopped. Raises TimeoutError."""
    supervisor, copies = Supervisor(stack), stack.copies(service)
    for copy in copies:
        await asyncio.to_thread(supervisor.stop, copy)
    async with asyncio.timeout(_STOP_SECONDS):
        while not (await asyncio.to_thread(supervisor.running)).isdisjoint(copies):
            await asyncio.sleep(0.05)


async def start_service(stack: Stack, service: str) -> None:
    """Start all copies of a service, without waiting until they are ready."""
    for copy in stack.copies(service):
        await asyncio.to_thread(Supervisor(stack).start, copy)


async def _start_and_wait(stack: Stack, name: str) -> None:
    await start_service(stack, name)
    try:
        async with asyncio.timeout(_START_SECONDS):
            for program in choose(stack.copies(name), programs(stack)):
                while not await program.is_ready(stack):
                    await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise ShopError(f"{name} was not ready after {_START_SECONDS} s: see `shop logs {name}`") from error


async def fetch(stack: Stack, database: str, query: str, *arguments: object) -> list[Any]:
    """The rows of one query, as the operator's role."""
    connection = await asyncpg.connect(stack.operator_dsn(database), timeout=10, command_timeout=10)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


async def describe(stack: Stack) -> dict[str, str | int]:
    """The machine that figures come from."""
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
    name = (
        re.search(r"^model name\s*:\s*(.+)", information.read_text(), re.M) if information.exists() else None
    )
    return name[1].strip() if name else platform.processor() or platform.machine()


def _families(stack: Stack) -> dict[str, list[psutil.Process]]:
    """Each program's processes, children included; supervisord's own children are the programs."""
    supervisor = Supervisor(stack)
    running = {name: family(info["pid"]) for name, info in supervisor.info().items() if info["pid"]}
    return {"supervisor": [psutil.Process(supervisor.pid())], **running}


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
