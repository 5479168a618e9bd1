"""What machine figures come from: without it they say nothing."""

import os
import platform
from pathlib import Path

import asyncpg
import psutil

from devstack import Stack, rabbitmq

TIMEOUT_SECONDS = 10


def processor() -> str:
    """The CPU's name as the kernel tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


async def describe(stack: Stack) -> dict[str, str | int]:
    async with rabbitmq.management(stack) as broker:
        overview = await broker.get("overview")
    database = await asyncpg.connect(stack.operator_dsn(), timeout=TIMEOUT_SECONDS)
    try:
        postgresql = await database.fetchval("SHOW server_version", timeout=TIMEOUT_SECONDS)
    finally:
        await database.close()
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rabbitmq": overview["rabbitmq_version"],
        "postgresql": postgresql,
    }
