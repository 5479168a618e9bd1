"""`shop bench`: what a checkout costs on this machine."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from devstack import Stack, ports
from devstack.command import progress as starting
from devstack.down import down, purge
from devstack.programs import programs
from devstack.up import up
from lab.bench.load import Load
from lab.bench.pages import pages
from lab.bench.search import search
from lab.services import cpu_seconds, describe, resident_bytes
from shop.ledger.gather import until_quiet
from shop.machine import project_root

START_SECONDS = 90
QUIET_SECONDS = 120
STAND_INS = (
    "sandbox",
    "mailbox",
    "warehouse",
)  # they play the outside world: not what a checkout costs the shop
_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


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


app = typer.Typer(help="What a checkout costs on this machine, what a search takes, and what a page costs.")
app.command()(search)
app.command()(pages)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    checkouts: Annotated[int, typer.Option(min=1, help="How many are measured.")] = 3000,
    warm_up: Annotated[int, typer.Option(min=0, help="How many go before.")] = 500,
    in_flight: Annotated[int, typer.Option(min=1, help="How many at once.")] = 64,
    output: Annotated[Path | None, typer.Option(help="Figures as JSON [.local/bench.json].")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON as well, and nothing else.")
    ] = False,
) -> None:
    """Measure checkouts on a stack of its own, which is gone afterwards."""
    if context.invoked_subcommand is not None:
        return
    root = project_root()
    stack = Stack.create(
        root / ".local" / "bench", ports.free_base(), topology=root / "deploy/rabbitmq/definitions.json"
    )
    try:
        known = programs()
        chosen = [program for program in known if program.name != "warehouse"]  # its polling is no checkout's
        with starting(chosen, quiet=as_json) as note:
            up(stack, chosen, known, note, START_SECONDS)
        console = Console(stderr=True, quiet=as_json)
        with Progress(console=console, transient=True) as progress:
            figures = uvloop.run(_measure(stack, progress, checkouts, warm_up, in_flight))
    finally:
        down(stack, programs(), lambda _: None)
        purge(stack)
    document = json.dumps(asdict(figures), indent=2)
    target = output or root / ".local" / "bench.json"
    target.write_text(document + "\n")
    if as_json:
        print(document)
    else:
        _show(figures, target)


async def _measure(stack: Stack, progress: Progress, checkouts: int, warm_up: int, in_flight: int) -> Figures:
    """Warm up, then measure until everything is quiet."""

    def phase(name: str, total: int) -> Callable[[], None]:
        return partial(progress.advance, progress.add_task(name, total=total))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        load = Load(stack, http)
        await load.prepare(warm_up + checkouts, phase("preparing shoppers", warm_up + checkouts))
        await load.run(warm_up, in_flight, phase("warming up", warm_up))
        await until_quiet(stack, QUIET_SECONDS)
        before, started = cpu_seconds(stack), time.perf_counter()
        latencies = sorted(await load.run(checkouts, in_flight, phase("measuring", checkouts)))
        seconds = time.perf_counter() - started
        await _until_mailed(stack, http, checkouts + warm_up)
        after = cpu_seconds(stack)
    by_program = {name: round((after[name] - before[name]) * 1000 / checkouts, 3) for name in after}
    return Figures(
        checkouts=checkouts,
        in_flight=in_flight,
        per_second=round(checkouts / seconds, 1),
        cpu_per_checkout=round(sum(v for n, v in by_program.items() if n not in STAND_INS), 2),
        cpu_by_program=by_program,
        latency={
            name: round(latencies[min(int(checkouts * share), checkouts - 1)], 3)
            for name, share in _SHARES.items()
        },
        resident={name: round(used / 2**20, 1) for name, used in resident_bytes(stack).items()},
        machine=await describe(stack),
    )


async def _until_mailed(stack: Stack, http: aiohttp.ClientSession, receipts: int) -> None:
    """The last receipts are part of what a checkout costs."""
    url = f"{stack.mailbox_url}/api/v1/messages"
    async with asyncio.timeout(QUIET_SECONDS):
        while True:
            async with http.get(url, params={"limit": "1", "reason": "receipt"}) as answer:
                if (await answer.json())["total"] >= receipts:
                    return
            await asyncio.sleep(0.2)


def _show(figures: Figures, target: Path) -> None:
    console, machine = Console(highlight=False), figures.machine
    console.print(
        f"{figures.per_second} checkouts/s to paid, {figures.in_flight} in flight; "
        f"{figures.cpu_per_checkout} ms of CPU each; "
        + ", ".join(f"{name} {seconds} s" for name, seconds in figures.latency.items())
    )
    columns = Column("ms CPU per checkout", justify="right"), Column("MiB", justify="right")
    table = Table("program", *columns, box=None, pad_edge=False)
    for name, used in sorted(figures.cpu_by_program.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{used:.2f}", f"{figures.resident.get(name, 0):.0f}")
    table.add_row("in all", "", f"{sum(figures.resident.values()):.0f}")
    console.print(table)
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, RabbitMQ {machine['rabbitmq']}; as JSON in {target}"
    )
