"""`shop saga list`, `show` and `nudge`: which sagas stand, what one has come to, and how it goes on."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from order import numbers
from shop import targets
from shop.diagram import diagram
from shop.errors import ShopError
from shop.sagas.finding import Finding
from shop.sagas.findings import about, stuck, waits_for
from shop.sagas.nudging import nudge as say_nudged
from shop.sagas.nudging import preview, refuse_forgotten
from shop.sagas.reading import books, page, saga, see
from shop.sagas.returns import to_receive
from shop.sagas.seen import Seen
from shop.targets import Target

STANDS = 3
POLL_SECONDS = 0.5

app = typer.Typer(help="Look into sagas, find those that stand, and nudge them.", no_args_is_help=True)


def _which(text: str) -> UUID | str:
    try:
        return numbers.which(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Order = Annotated[Any, typer.Argument(help="The order's id or number.", parser=_which, metavar="ORDER")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Patience = Annotated[float, typer.Option(help="Seconds that something may stand before it is called stuck.")]


class State(StrEnum):
    stuck = "stuck"
    pending = "pending"
    paid = "paid"
    cancelled = "cancelled"


@dataclass(frozen=True)
class Look:
    """One order's saga: as order's API shows it, what stands in its way, and what it waits for."""

    order: dict[str, Any]
    events: list[dict[str, Any]]
    findings: list[Finding]
    waits_for: list[str]
    seen: Seen

    @property
    def to_receive(self) -> list[str]:
        """What only people can do: no nudge helps."""
        return to_receive(self.seen.orders[UUID(self.order["order_id"])])

    @property
    def stands(self) -> bool:
        return bool(self.waits_for or self.findings)


@app.command("list")
def list_sagas(
    state: Annotated[
        State, typer.Option(help="What stands, or the newest orders of a status.")
    ] = State.stuck,
    limit: Annotated[int, typer.Option(min=1, help="How many; of what stands, of each kind.")] = 50,
    patience: Patience = 60,
    as_json: Json = False,
) -> None:
    """What stands, why, and what to do next; exits with 3 if anything does. Or orders by status."""
    target = targets.resolve()
    if state is not State.stuck:
        _tell_orders(asyncio.run(_page(target, state, limit)), as_json)
        return
    findings, complete = asyncio.run(_stuck(target, limit, patience))
    if as_json:
        document = {"complete": complete, "stuck": [_document(finding) for finding in findings]}
        print(json.dumps(document, indent=2))
    else:
        _tell_stuck(Console(), findings, complete, limit)
    if findings:
        raise typer.Exit(STANDS)


@app.command()
def show(order: Order, patience: Patience = 60, as_json: Json = False) -> None:
    """Who said what when, what led to it, what was undone; what it waits for, and what to do next."""
    target, console = targets.resolve(), Console(quiet=as_json)
    view, events = asyncio.run(fetch(target, order))
    console.print(diagram(view, events))  # also while the broker is down
    look = asyncio.run(_look(target, UUID(view["order_id"]), patience))
    _tell_standing(console, look)
    if as_json:
        print(json.dumps(_look_document(look), indent=2))


@app.command()
def nudge(
    order: Order,
    why: Annotated[str, typer.Option(help="The reason, for the audit.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the saga to end; 0: do not.")] = 0,
    patience: Patience = 60,
    as_json: Json = False,
) -> None:
    """Have every service say again what it said of the order and what still holds.

    Who has heard it before ignores it, who has lost it hears it now.

    With --wait, exits with 3 when the saga still stands afterwards.
    """
    target, console = targets.resolve(), Console(quiet=as_json)
    order_id = asyncio.run(_id(target, order))
    look = asyncio.run(_look(target, order_id, patience))
    refuse_forgotten(target, look.seen, order_id)
    again = preview(look.seen, order_id)
    _tell_preview(console, look, again)
    if not yes and not as_json:
        typer.confirm("Nudge it?", abort=True)
    if not yes and as_json:
        raise ShopError("with --json nobody is asked: say --yes as well")
    before = {"status": look.order["status"], "waits_for": look.waits_for, "says_again": again}
    nudge_id = asyncio.run(say_nudged(target, order_id, why, before))
    console.print("nudged")
    after = asyncio.run(_until_ended(target, order_id, wait, patience)) if wait else None
    if as_json:
        found = _look_document(after) if after else None
        print(json.dumps({"nudge_id": str(nudge_id), "says_again": again, "after": found}, indent=2))
    elif after:
        console.print(diagram(after.order, after.events))
        _tell_standing(console, after)
    if after and after.stands:
        raise typer.Exit(STANDS)


async def fetch(target: Target, order: UUID | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order with that id or number, and its timeline. Raises ShopError when there is no such order."""
    async with books(target) as found:
        return await saga(found, order)


async def _id(target: Target, order: UUID | str) -> UUID:
    if isinstance(order, UUID):
        return order
    view, _ = await fetch(target, order)
    return UUID(view["order_id"])


async def _stuck(target: Target, limit: int, patience: float) -> tuple[list[Finding], bool]:
    async with books(target) as found:
        seen = await see(target, found, limit=limit)
    return stuck(seen, timedelta(seconds=patience)), seen.complete


async def _page(target: Target, state: State, limit: int) -> list[dict[str, Any]]:
    async with books(target) as found:
        return await page(found, state, limit)


async def _look(target: Target, order: UUID, patience: float) -> Look:
    async with books(target) as found:
        seen = await see(target, found, limit=100, only=order)
        view, events = await saga(found, order)  # never older than what was found to stand
    findings = about(stuck(seen, timedelta(seconds=patience)), order)
    return Look(view, events, findings, waits_for(seen, seen.orders[order]), seen)


async def _until_ended(target: Target, order: UUID, seconds: float, patience: float) -> Look:
    """The saga once it waits for nothing any more, or as it is after so many seconds."""
    deadline = time.monotonic() + seconds
    while (look := await _look(target, order, patience)).stands and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
    return look


def _tell_stuck(console: Console, findings: Sequence[Finding], complete: bool, limit: int) -> None:
    for finding in findings:
        heading = Text.assemble((finding.kind, "bold red"), f"  {finding.order_id or 'no order'}")
        if finding.number is not None:
            heading.append(f"  {finding.number}", "bold")
        if finding.since is not None:
            heading.append(f"  since {_moment(finding.since)}", "dim")
        console.print(heading, soft_wrap=True)
        console.print(Padding(Text(finding.means), (0, 0, 0, 4)))
        console.print(Text(f"    → {finding.next}", "cyan"), soft_wrap=True)
    if not complete:
        console.print(f"only the oldest {limit} of each kind were looked at: --limit looks at more")
    console.print(f"{len(findings)} stuck" if findings else "nothing is stuck")


def _tell_orders(orders: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"orders": orders}, indent=2))
        return
    table = Table("order", "created", "status", "total", box=None, pad_edge=False)
    for one in orders:
        status = f"{one['status']} ({one['reason']})" if one["reason"] else one["status"]
        total = format_amount_with_code(one["total"]["amount"], one["total"]["currency"])
        created = _moment(datetime.fromisoformat(one["created_at"]))
        table.add_row(one["number"], created, status, total)
    Console().print(table if orders else "none")


def _tell_standing(console: Console, look: Look) -> None:
    for one in (*look.waits_for, *look.to_receive):
        console.print(f"waits for {one}")
    if look.findings:
        console.print()
        _tell_stuck(console, look.findings, complete=True, limit=0)


def _tell_preview(console: Console, look: Look, again: dict[str, list[str]]) -> None:
    console.print(f"order {look.order['number']} ({look.order['order_id']}) is {look.order['status']}")
    for one in look.waits_for or ["nothing"]:
        console.print(f"  waits for {one}")
    for service, types in again.items():
        console.print(f"  {service} says again: {', '.join(types) or 'nothing'}")


def _look_document(look: Look) -> dict[str, Any]:
    return {
        "order": look.order,
        "events": look.events,
        "waits_for": look.waits_for,
        "to_receive": look.to_receive,
        "stuck": [_document(finding) for finding in look.findings],
    }


def _document(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {
        "order_id": finding.order_id and str(finding.order_id),
        "since": finding.since and finding.since.isoformat(),
    }


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
