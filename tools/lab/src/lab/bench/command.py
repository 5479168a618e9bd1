"""`shop bench`: what a checkout costs on this machine."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from devstack import Stack, ports
from devstack.down import down, purge
from devstack.programs import programs
from devstack.progress import Progress as Starting
from devstack.up import up
from lab.bench.run import Figures, measure
from shop.project import project_root

START_SECONDS = 90
Advance = Callable[[], None]


def bench(
    checkouts: Annotated[int, typer.Option(min=1, help="How many are measured.")] = 3000,
    warm_up: Annotated[int, typer.Option(min=0, help="How many go before.")] = 500,
    in_flight: Annotated[int, typer.Option(min=1, help="How many at once.")] = 64,
    output: Annotated[Path | None, typer.Option(help="Figures as JSON [.local/bench.json].")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON as well, and nothing else.")
    ] = False,
) -> None:
    """Measure on a stack of its own, which is gone afterwards."""
    root = project_root()
    stack = Stack.create(
        root / ".local" / "bench", ports.free_base(), topology=root / "deploy/rabbitmq/definitions.json"
    )
    try:
        known = programs()
        with Starting(known, quiet=as_json) as starting:
            up(stack, known, known, starting.note, START_SECONDS)
        figures = _measure(stack, checkouts, warm_up, in_flight, quiet=as_json)
    finally:
        down(stack, programs(), lambda _: None)
        purge(stack)
    document = json.dumps(asdict(figures), indent=2)
    target = output or root / ".local" / "bench.json"
    target.write_text(document + "\n")
    if as_json:
        print(document)
    else:
        _tell(figures, target)


def _measure(stack: Stack, checkouts: int, warm_up: int, in_flight: int, *, quiet: bool) -> Figures:
    with Progress(console=Console(stderr=True, quiet=quiet), transient=True) as progress:

        def phase(name: str, total: int) -> Advance:
            task = progress.add_task(name, total=total)
            return lambda: progress.advance(task)

        work = measure(stack, checkouts=checkouts, warm_up=warm_up, in_flight=in_flight, phase=phase)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)


def _tell(figures: Figures, target: Path) -> None:
    console = Console()
    machine = figures.machine
    console.print(
        f"{figures.per_second} checkouts/s to paid, {figures.in_flight} in flight; "
        f"{figures.cpu_per_checkout} ms of CPU each; "
        + ", ".join(f"{name} {seconds} s" for name, seconds in figures.latency.items()),
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    for column, justify in (("program", "left"), ("ms CPU per checkout", "right"), ("MiB", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for name, used in sorted(figures.cpu_by_program.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{used:.2f}", f"{figures.resident.get(name, 0):.0f}")
    table.add_row("in all", "", f"{sum(figures.resident.values()):.0f}")
    console.print(table)
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, RabbitMQ {machine['rabbitmq']}; as JSON in {target}",
        highlight=False,
    )
