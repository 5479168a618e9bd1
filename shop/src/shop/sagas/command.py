"""`shop saga list`, `show` and `nudge`: which sagas are stuck, the state of one, and how to continue it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from contracts import format_amount_with_code
from order.operations import id_or_number, list_orders
from shop import targets
from shop.diagram import diagram
from shop.publishing import nudge as publish_nudge
from shop.sagas.collecting import take_snapshot
from shop.sagas.issues import of_order, stuck
from shop.sagas.returns import to_receive
from shop.sagas.snapshot import Issue, Snapshot
from shop.sagas.waiting import preview, refuse_forgotten, waits_for
from shop.services import find_saga, open_databases
from shop.targets import Target
from shop.terminal import Commands, Json, Reason, Yes, confirm, print_json

STUCK = 3
POLL_SECONDS = 0.5

app = Commands("Inspect sagas, find stuck ones, and nudge them.")


def _order(text: str) -> UUID | str:
    try:
        return id_or_number(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


OrderArgument = Annotated[
    Any, typer.Argument(help="The order's id or number.", parser=_order, metavar="ORDER")
]
Threshold = Annotated[
    float, typer.Option("--patience", help="Seconds without progress after which a saga counts as stuck.")
]


class State(StrEnum):
    stuck = "stuck"
    pending = "pending"
    paid = "paid"
    cancelled = "cancelled"


@dataclass(frozen=True)
class SagaView:
    """One order's saga: as order's API shows it, its issues, what it waits for, and what only staff can do
    about it: a nudge does not help there."""

    order: dict[str, Any]
    events: list[dict[str, Any]]
    waits_for: list[str]
    to_receive: list[str]
    stuck: list[Issue]

    @property
    def is_stuck(self) -> bool:
        return bool(self.waits_for or self.stuck)


@app.command("list")
async def list_sagas(
    state: Annotated[
        State, typer.Option(help="Stuck sagas, or the newest orders of a status.")
    ] = State.stuck,
    limit: Annotated[
        int, typer.Option(min=1, help="How many orders; of stuck sagas, how many of each kind.")
    ] = 50,
    threshold: Threshold = 60,
    as_json: Json = False,
) -> None:
    """Stuck sagas, why, and what to do next; exits with 3 if there are any. Or orders by status."""
    target = targets.resolve()
    if state is not State.stuck:
        async with open_databases(target) as databases:
            orders = await list_orders(databases.engines["order"], state, limit)
        _print_orders(orders, as_json)
        return
    async with open_databases(target) as databases:
        snapshot = await take_snapshot(target, databases, limit=limit)
    issues = stuck(snapshot, timedelta(seconds=threshold))
    if as_json:
        print_json({"complete": snapshot.complete, "stuck": issues})
    else:
        console = Console()
        _print_stuck(console, issues)
        if not snapshot.complete:
            console.print(f"only the oldest {limit} of each kind were checked: --limit checks more")
        console.print(f"{len(issues)} stuck" if issues else "nothing is stuck")
    if issues:
        raise typer.Exit(STUCK)


@app.command()
async def show(order: OrderArgument, threshold: Threshold = 60, as_json: Json = False) -> None:
    """Events with publisher, time and cause, compensations, what the saga waits for, and what to do next."""
    target, console = targets.resolve(), Console(quiet=as_json)
    found, events = await fetch(target, order)
    console.print(diagram(found, events))  # also while the broker is down
    view, _ = await _view(target, UUID(found["order_id"]), threshold)
    _print_waiting(console, view)
    if as_json:
        print_json(view)


@app.command()
async def nudge(
    order: OrderArgument,
    why: Reason,
    yes: Yes = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the saga to end; 0: do not.")] = 0,
    threshold: Threshold = 60,
    as_json: Json = False,
) -> None:
    """Have every service republish its events about the order that are still true.

    A service that has consumed one before ignores it; a service that lost one consumes it now.

    With --wait, exits with 3 if the saga is still stuck afterwards.
    """
    target, console = targets.resolve(), Console(quiet=as_json)
    found, _ = await fetch(target, order)
    order_id = UUID(found["order_id"])
    view, snapshot = await _view(target, order_id, threshold)
    refuse_forgotten(target, snapshot, order_id)
    republished = preview(snapshot, order_id)
    console.print(f"order {view.order['number']} ({view.order['order_id']}) is {view.order['status']}")
    for one in view.waits_for or ["nothing"]:
        console.print(f"  waits for {one}")
    for service, types in republished.items():
        console.print(f"  {service} republishes: {', '.join(types) or 'nothing'}")
    confirm("Nudge it?", yes=yes, as_json=as_json)
    before = {"status": view.order["status"], "waits_for": view.waits_for, "says_again": republished}
    nudge_id = await publish_nudge(target, order_id, why, before)
    console.print("nudged")
    after = await _until_ended(target, order_id, wait, threshold) if wait else None
    if as_json:
        print_json({"nudge_id": nudge_id, "says_again": republished, "after": after})
    elif after:
        console.print(diagram(after.order, after.events))
        _print_waiting(console, after)
    if after and after.is_stuck:
        raise typer.Exit(STUCK)


async def fetch(target: Target, order: UUID | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order with that id or number, and its timeline. Raises ShopError if there is none."""
    async with open_databases(target) as databases:
        return await find_saga(databases, order)


async def _view(target: Target, order_id: UUID, threshold: float) -> tuple[SagaView, Snapshot]:
    async with open_databases(target) as databases:
        snapshot = await take_snapshot(target, databases, limit=100, only=order_id)
        found, events = await find_saga(databases, order_id)  # read last: never older than the snapshot
    issues = of_order(stuck(snapshot, timedelta(seconds=threshold)), order_id)
    order = snapshot.orders[order_id]
    return SagaView(found, events, waits_for(snapshot, order), to_receive(order), issues), snapshot


async def _until_ended(target: Target, order: UUID, seconds: float, threshold: float) -> SagaView:
    """The saga once it waits for nothing, or as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    view, _ = await _view(target, order, threshold)
    while view.is_stuck and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        view, _ = await _view(target, order, threshold)
    return view


def _print_stuck(console: Console, issues: Sequence[Issue]) -> None:
    for issue in issues:
        heading = Text.assemble((issue.kind, "bold red"), f"  {issue.order_id or 'no order'}")
        if issue.number is not None:
            heading.append(f"  {issue.number}", "bold")
        if issue.since is not None:
            heading.append(f"  since {_time(issue.since)}", "dim")
        console.print(heading, soft_wrap=True)
        console.print(Padding(Text(issue.means), (0, 0, 0, 4)))
        console.print(Text(f"    → {issue.next}", "cyan"), soft_wrap=True)


def _print_orders(orders: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"orders": orders})
        return
    table = Table("order", "created", "status", "total", box=None, pad_edge=False)
    for one in orders:
        status = f"{one['status']} ({one['reason']})" if one["reason"] else one["status"]
        total = format_amount_with_code(one["total"]["amount"], one["total"]["currency"])
        created = _time(datetime.fromisoformat(one["created_at"]))
        table.add_row(one["number"], created, status, total)
    Console().print(table if orders else "none")


def _print_waiting(console: Console, view: SagaView) -> None:
    for one in (*view.waits_for, *view.to_receive):
        console.print(f"waits for {one}")
    if view.stuck:
        console.print()
        _print_stuck(console, view.stuck)
        console.print(f"{len(view.stuck)} stuck")


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
