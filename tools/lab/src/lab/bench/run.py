"""One benchmark run: warm up, measure until everything is quiet, report."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from devstack import Stack
from lab.bench.load import Load, percentile
from lab.bench.machine import describe
from lab.bench.meter import cpu_seconds, difference, resident_bytes
from shop.ledger.gather import until_quiet

OUTSIDE = ("sandbox", "mailbox")  # the world around the shop: not what a checkout costs the shop
QUIET_SECONDS = 120
Phase = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True)
class Figures:
    """CPU in milliseconds per checkout, latency in seconds, memory in MiB."""

    checkouts: int
    in_flight: int
    per_second: float
    cpu_per_checkout: float
    cpu_by_program: dict[str, float]
    latency: dict[str, float]
    resident: dict[str, float]
    machine: dict[str, Any]


async def measure(stack: Stack, *, checkouts: int, warm_up: int, in_flight: int, phase: Phase) -> Figures:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        load = Load(stack, http)
        await load.prepare(warm_up + checkouts, phase("preparing shoppers", warm_up + checkouts))
        await load.run(warm_up, in_flight, phase("warming up", warm_up))
        await until_quiet(stack, QUIET_SECONDS)
        before, started = cpu_seconds(stack), time.perf_counter()
        done = await load.run(checkouts, in_flight, phase("measuring", checkouts))
        seconds = time.perf_counter() - started
        await _until_written(stack, checkouts + warm_up)
        cpu = difference(before, cpu_seconds(stack))
    latencies = sorted(one.seconds for one in done)
    by_program = {name: round(used * 1000 / checkouts, 3) for name, used in cpu.items()}
    return Figures(
        checkouts=checkouts,
        in_flight=in_flight,
        per_second=round(checkouts / seconds, 1),
        cpu_per_checkout=round(sum(v for n, v in by_program.items() if n not in OUTSIDE), 2),
        cpu_by_program=by_program,
        latency={name: round(percentile(latencies, share), 3) for name, share in _SHARES.items()},
        resident={name: round(used / 2**20, 1) for name, used in resident_bytes(stack).items()},
        machine=await describe(stack),
    )


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


async def _until_written(stack: Stack, receipts: int) -> None:
    """The last receipts are part of what a checkout costs."""
    url = f"{stack.mailbox_url}/api/v1/messages"
    async with aiohttp.ClientSession() as http, asyncio.timeout(QUIET_SECONDS):
        while True:
            async with http.get(url, params={"limit": "1", "reason": "receipt"}) as answer:
                if (await answer.json())["total"] >= receipts:
                    return
            await asyncio.sleep(0.2)
