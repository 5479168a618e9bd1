"""`shop ledger check`: compare every witness, one named check for each part of each promise."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console

from shop import targets
from shop.ledger import CHECKS, Evidence
from shop.ledger.checks import undeliverable
from shop.ledger.gather import gather, until_quiet
from shop.targets import Target

app = typer.Typer(help="Compare orders, payments, stock, mails and queues.", no_args_is_help=True)
MOST_SHOWN = 10


@app.callback()
def _ledger() -> None:
    """A group, though it has one command so far."""


@app.command()
def check(
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is on its way.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Every promise against what can be seen from outside. Exits with 1 when anything is amiss."""
    seen = asyncio.run(_evidence(targets.resolve(), wait))
    findings = {one.name: list(one.look(seen)) for one in CHECKS}
    if as_json:
        print(json.dumps(_document(seen, findings), indent=2))
    else:
        _tell(Console(), seen, findings)
    if any(findings.values()):
        raise typer.Exit(1)


async def _evidence(target: Target, wait: float) -> Evidence:
    await until_quiet(target, wait)
    return await gather(target)


def _document(seen: Evidence, findings: dict[str, list[str]]) -> dict[str, object]:
    return {
        "amiss": sum(map(len, findings.values())),
        "looked_at": _looked_at(seen),
        "undeliverable": list(undeliverable(seen)),
        "put_off": len(seen.put_off),
        "checks": [
            {"promise": one.promise, "check": one.name, "says": one.says, "findings": findings[one.name]}
            for one in CHECKS
        ],
    }


def _looked_at(seen: Evidence) -> dict[str, int]:
    return {
        "orders": len(seen.orders),
        "payments": len(seen.payments),
        "charges": len(seen.charges),
        "products": len(seen.stock),
        "mails": len(seen.mails),
        "queues": len(seen.queues),
    }


def _tell(console: Console, seen: Evidence, findings: dict[str, list[str]]) -> None:
    for one in CHECKS:
        found = findings[one.name]
        mark = "[red]✗[/]" if found else "[green]✓[/]"
        console.print(f"{mark} {one.promise}. [bold]{one.name}[/] {one.says}")
        for finding in found[:MOST_SHOWN]:
            console.print(f"      {finding}", style="red", markup=False)
        if len(found) > MOST_SHOWN:
            console.print(f"      … and {len(found) - MOST_SHOWN} more (--json has them all)")
    _tell_mails(console, seen)
    console.print(", ".join(f"{count} {what}" for what, count in _looked_at(seen).items()))


def _tell_mails(console: Console, seen: Evidence) -> None:
    """What is owed and was not sent, and fails no check, since it is known why."""
    listed = list(undeliverable(seen))
    for one in listed[:MOST_SHOWN]:
        console.print(f"! undeliverable: {one}", style="yellow", markup=False)
    if len(listed) > MOST_SHOWN:
        console.print(f"  … and {len(listed) - MOST_SHOWN} more (--json has them all)")
    if listed:
        console.print("  `shop mails list` shows them, `shop mails resend` sends them again")
    if seen.put_off:
        console.print(
            f"! {len(seen.put_off)} mails wait until their recipients may have more", style="yellow"
        )
