"""`shop up`, `down`, `status` and `logs`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

from devstack import ports
from devstack.down import down as stop
from devstack.down import purge as delete_data
from devstack.layout import Layout, default_folder, last_lines
from devstack.layout import follow as follow_logs
from devstack.program import Program
from devstack.programs import choose, programs
from devstack.stack import Stack, more_ports
from devstack.status import Status
from devstack.status import status as statuses
from devstack.supervisor import Supervisor
from devstack.up import Progress
from devstack.up import up as start
from shop.broker.command import print_issues
from shop.errors import ShopError
from shop.machine import project_root
from shop.terminal import Json


@contextmanager
def progress(starting: Sequence[Program], *, quiet: bool) -> Iterator[Progress]:
    """A live table on a terminal, otherwise a line for each program that is ready.

    `with progress(programs, quiet=False) as note: up(…, note, …)`.
    """
    console = Console(stderr=True, quiet=quiet)
    columns = ("{task.description}", "{task.fields[state]}", "{task.fields[after]}")
    with Bars(*columns, console=console, disable=not console.is_terminal) as table:
        rows = {one.name: table.add_task(one.name, state="waiting", after="") for one in starting}

        def note(program: str, state: str, seconds: float) -> None:
            table.update(rows[program], state=state, after=f"{seconds:.1f} s" if seconds else "")
            if not console.is_terminal and state in ("ready", "already running"):
                console.print(f"{program} {state} ({seconds:.1f} s)", highlight=False)

        yield note


def up(
    only: Annotated[str, typer.Option(help="Only these programs, comma-separated.")] = "",
    port_base: Annotated[int | None, typer.Option(help=f"The first port [{ports.BASE}].")] = None,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Find free ports.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Environment of a program: order.ORDER_DEADLINE=60.")
    ] = None,
    brokers: Annotated[
        int | None, typer.Option(min=1, max=7, help="RabbitMQ nodes, as one cluster [1].")
    ] = None,
    replicas: Annotated[int | None, typer.Option(min=1, max=8, help="Copies of every service [1].")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for each program to become ready.")] = 90,
    as_json: Json = False,
) -> None:
    """Start what is not running; returns when everything is ready."""
    stack = _stack_for(port_base, free_ports, settings, brokers, replicas)
    known = programs(stack)
    chosen = choose([name for name in only.split(",") if name], known)
    with progress(chosen, quiet=as_json) as note:
        started = start(stack, chosen, known, note, timeout)
    if as_json:
        print(json.dumps({"programs": [asdict(one) for one in started], "urls": stack.urls()}, indent=2))
    elif all(one.already_running for one in started):
        print("already running")
    else:
        print(f"up: {stack.gateway_url} and {stack.gateway_tls_url}")


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Also delete its data, secrets and logs.")] = False,
    as_json: Json = False,
) -> None:
    """Stop everything, the gateway first."""
    try:
        stack = Stack.load()
    except ShopError:
        stopped = []
    else:
        stopped = stop(stack, programs(stack), lambda name: None if as_json else print(f"stopping {name}"))
        if purge:
            delete_data(stack)
    if as_json:
        print(json.dumps({"stopped": stopped}))
    else:
        print("down" if stopped else "nothing was running")


def status(as_json: Json = False) -> None:
    """Every program: state, pid, uptime, readiness, memory; dead letters, and broker issues.

    Exits with 3 unless all are ready and the broker has no issues.
    """
    stack = Stack.load()
    found = statuses(stack, programs(stack))
    issues = [issue for one in found for issue in one.issues]
    dead = {queue: count for one in found for queue, count in one.dead_letters.items()}
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        console = Console()
        console.print(_table(found))
        for queue, count in dead.items():
            console.print(f"dead letters in {queue}: {count}, see `shop dead-letters list`", highlight=False)
        if issues:
            print_issues(console, issues)
    raise typer.Exit(0 if all(one.ready for one in found) and not issues else 3)


def logs(
    service: Annotated[str | None, typer.Argument(help="One program; all if omitted.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many last lines of each.")] = 20,
) -> None:
    """The programs' logs."""
    stack = Stack.load()
    names = [program.name for program in choose([service] if service else [], programs(stack))]
    files = {name: stack.layout.log(name) for name in names}
    width = max(map(len, names)) if not service else 0
    present = ((name, line) for name, file in files.items() for line in last_lines(file, lines))
    for name, line in chain(present, follow_logs(files) if follow else ()):
        print(f"{name:<{width}} | {line}" if width else line, flush=True)


def _stack_for(
    port_base: int | None,
    free_ports: bool,
    settings: list[str] | None,
    brokers: int | None,
    replicas: int | None,
) -> Stack:
    """The stack as it was, with what the options change; what runs keeps its ports."""
    folder = default_folder()
    exists = Layout(folder).state.exists()
    before = Stack.load(folder) if exists else Stack(folder, ports.BASE, folder)
    alive = exists and Supervisor(before).is_alive()
    if alive and port_base not in (None, before.port_base):
        raise ShopError(f"the stack runs on ports from {before.port_base}: `shop down` first")
    brokers, replicas = brokers or before.brokers, replicas or before.replicas
    if exists and brokers != before.brokers:
        raise ShopError(
            f"the stack has {before.brokers} RabbitMQ nodes: `shop down --purge` removes it, then start again"
        )
    if free_ports and not alive:
        port_base = ports.free_base(more_ports(brokers, replicas))
    topology = project_root() / "deploy" / "rabbitmq" / "definitions.json"
    return Stack.create(
        folder,
        port_base or before.port_base,
        durable=before.durable,
        topology=topology if topology.exists() else None,
        settings=before.settings if settings is None else _parsed(settings),
        brokers=brokers,
        replicas=replicas,
    )


def _parsed(settings: list[str]) -> dict[str, dict[str, str]]:
    parsed: dict[str, dict[str, str]] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        program, _, variable = name.partition(".")
        if not variable:
            raise ShopError(f"--set {setting}: write PROGRAM.VARIABLE=VALUE")
        parsed.setdefault(program, {})[variable] = value
    return parsed


def _table(found: list[Status]) -> Table:
    table = Table("program", "state", "ready", "pid", "uptime", "memory", "ports", box=None, pad_edge=False)
    for one in found:
        memory = one.pss or one.rss
        table.add_row(
            one.name,
            one.state,
            "yes" if one.ready else "no",
            str(one.pid or ""),
            "" if one.uptime is None else f"{one.uptime // 60}:{one.uptime % 60:02}",
            f"{memory / 1e6:.0f} MB" if memory else "",
            one.address or "",
        )
    return table
