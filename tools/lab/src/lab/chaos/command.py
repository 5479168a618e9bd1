"""`shop chaos`: faults on a shop of its own under load, and whether every promise is kept."""

import json
import logging
import shutil
from pathlib import Path
from typing import Annotated

import stamina
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from devstack import Stack, ports
from devstack.down import purge
from devstack.environment import RATE_FACTOR
from devstack.layout import Layout
from devstack.stack import more_ports
from lab.chaos.plan import chosen, draw, kinds
from lab.chaos.report import document, show
from lab.chaos.run import Options, run
from shop.machine import project_root

FOLDER = "chaos"
MANY = "1000000"
SETTINGS = {
    # All shoppers share one address, and many of their cards are bad.
    "gateway": {RATE_FACTOR: "1000"},
    "auth": {"REGISTRATION_CONFLICTS": MANY, "LOGIN_ATTEMPTS_PER_ADDRESS": MANY},
    "order": {"DECLINES_PER_NETWORK": MANY, "DECLINES_PER_SHOPPER": MANY},
    # What takes minutes or a day by default has to happen during a run or soon after it.
    "payment": {"ACTION_MINUTES": "0.4", "RECONCILE_PROVIDER_EVERY": "30", "SWEEP_EVERY": "10"},
}


def chaos(
    minutes: Annotated[float, typer.Option(min=0.2, help="How long faults are injected.")] = 2,
    seed: Annotated[int, typer.Option(help="The plan of faults is drawn from it.")] = 1,
    faults: Annotated[str, typer.Option(help="Only these, with commas: kill, cut, stall-broker.")] = "",
    brokers: Annotated[int, typer.Option(min=1, max=7, help="Nodes of RabbitMQ, one cluster.")] = 1,
    replicas: Annotated[int, typer.Option(min=1, max=8, help="Copies of every service.")] = 1,
    shoppers: Annotated[int, typer.Option(min=1, max=100, help="How many shop at once.")] = 16,
    output: Annotated[Path | None, typer.Option(help="The report as JSON [.local/chaos.json].")] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="One fault at a time, the next once an order was paid again.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs, also when all is well.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON as well, and nothing else.")
    ] = False,
) -> None:
    """Break what can break while shoppers check out, let it settle, and check every promise.

    Exits with 1 when anything is lost, doubled or stuck; the stack then stays, stopped, with its logs.
    """
    root, seconds = project_root(), minutes * 60
    plan = draw(seed, seconds, chosen([word for word in faults.split(",") if word], kinds(brokers, replicas)))
    stack = _stack(root, brokers, replicas)
    # Broken connections and retries are logged by the libraries: expected here, so not on the terminal.
    stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])
    log = stack.layout.log(FOLDER)
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=log, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    options = Options(seed, seconds, shoppers, plan, apart)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True, quiet=as_json)
    with Progress(*columns, console=console, transient=True) as progress:
        report = uvloop.run(run(stack, options, progress))
    text = json.dumps(document(report), indent=2)
    target = output or root / ".local" / "chaos.json"
    target.write_text(text + "\n")
    if as_json:
        print(text)
    else:
        show(Console(), report)
    if not report.is_well:
        Console(stderr=True).print(f"logs and data are kept in {stack.folder}", highlight=False)
        raise typer.Exit(1)
    if not keep:
        purge(stack)


def _stack(root: Path, brokers: int, replicas: int) -> Stack:
    """A new one, in a folder of its own."""
    folder = root / ".local" / FOLDER
    if Layout(folder).state.exists():
        purge(Stack.load(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return Stack.create(
        folder,
        ports.free_base(more_ports(brokers, replicas)),
        topology=root / "deploy/rabbitmq/definitions.json",
        settings=SETTINGS,
        brokers=brokers,
        replicas=replicas,
    )
