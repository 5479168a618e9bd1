"""`shop compose check`: the compose file, built and run beside whatever else runs, and taken down again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from devstack import ports
from lab.compose.check import Check
from lab.compose.project import Project
from shop.errors import ShopError
from shop.project import project_root
from shop.terminal import counting

app = typer.Typer(help="The shop in containers.", no_args_is_help=True)
_PORTS = ("SHOP_PORT", "SHOP_SANDBOX_PORT", "SHOP_MAIL_PORT", "SHOP_AMQP_PORT", "SHOP_MANAGEMENT_PORT")


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Build and start everything under a name and ports of its own, ask what the file promises, take it down.

    COMPOSE_FILE says which files, as for `docker compose`. Exits with 1 when something does not hold.
    """
    base = ports.free_base()
    chosen = {name: base + number for number, name in enumerate(_PORTS)}
    project = Project(f"saga-shop-check-{os.getpid()}", project_root(), chosen)
    with _ended_by_sigterm_too():
        held = _checked(project, Console(quiet=as_json))
    if as_json:
        print(json.dumps(held, indent=2))


def _checked(project: Project, console: Console) -> list[dict[str, str | float]]:
    check = Check(project)
    steps = list(check.steps())
    held: list[dict[str, str | float]] = []
    try:
        with counting(console) as progress:
            bar = progress.add_task("compose", total=len(steps))
            for sentence, step in steps:
                progress.update(bar, description=sentence)
                began = time.monotonic()
                step()
                seconds = round(time.monotonic() - began, 1)
                held.append({"holds": sentence, "seconds": seconds})
                console.print(f"[green]✓[/] {sentence} ({seconds} s)", highlight=False)
                progress.advance(bar)
    except ShopError as error:
        if tails := project.tails():
            Console(stderr=True).print(tails, markup=False, highlight=False)
        raise ShopError(f"not so that {sentence}: {error}") from error
    finally:
        check.down()
    return held


@contextmanager
def _ended_by_sigterm_too() -> Iterator[None]:
    """Containers would outlive us: whoever ends us has them taken down first."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
