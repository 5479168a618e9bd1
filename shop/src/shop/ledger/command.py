"""`shop ledger check`: compare databases, provider, mailbox and queues, one named check for each promise."""

from typing import Annotated

import typer
from rich.console import Console

from shop import targets
from shop.ledger import CHECKS, Evidence
from shop.ledger.gather import gather, until_quiet
from shop.ledger.mails import undeliverable
from shop.terminal import Commands, Json, print_json

app = Commands("Compare orders, payments, stock, mails and queues.")
MOST_SHOWN = 10


@app.callback()
def _ledger() -> None:
    """A group, though it has one command so far."""


@app.command()
async def check(
    wait: Annotated[float, typer.Option(help="Seconds to wait until nothing is in progress.")] = 60,
    as_json: Json = False,
) -> None:
    """Check every promise against evidence from outside. Exits with 1 if a check fails."""
    target = targets.resolve()
    await until_quiet(target, wait)
    evidence = await gather(target)
    violations = {one.name: list(one.violations(evidence)) for one in CHECKS}
    if as_json:
        print_json(_document(evidence, violations))
    else:
        _print(Console(), evidence, violations)
    if any(violations.values()):
        raise typer.Exit(1)


def _document(evidence: Evidence, violations: dict[str, list[str]]) -> dict[str, object]:
    return {
        "amiss": sum(map(len, violations.values())),
        "looked_at": _counts(evidence),
        "undeliverable": list(undeliverable(evidence)),
        "put_off": len(evidence.put_off),
        "checks": [
            {
                "promise": one.promise,
                "check": one.name,
                "says": one.sentence,
                "findings": violations[one.name],
            }
            for one in CHECKS
        ],
    }


def _counts(evidence: Evidence) -> dict[str, int]:
    return {
        "orders": len(evidence.orders),
        "payments": len(evidence.payments),
        "charges": len(evidence.charges),
        "products": len(evidence.stock),
        "mails": len(evidence.mails),
        "queues": len(evidence.queues),
    }


def _print(console: Console, evidence: Evidence, violations: dict[str, list[str]]) -> None:
    for one in CHECKS:
        found = violations[one.name]
        mark = "[red]✗[/]" if found else "[green]✓[/]"
        console.print(f"{mark} {one.promise}. [bold]{one.name}[/] {one.sentence}")
        for violation in found[:MOST_SHOWN]:
            console.print(f"      {violation}", style="red", markup=False)
        if len(found) > MOST_SHOWN:
            console.print(f"      … and {len(found) - MOST_SHOWN} more (--json has them all)")
    _print_mails(console, evidence)
    console.print(", ".join(f"{count} {what}" for what, count in _counts(evidence).items()))


def _print_mails(console: Console, evidence: Evidence) -> None:
    """Mails that were not sent for a known reason; they fail no check."""
    listed = list(undeliverable(evidence))
    for one in listed[:MOST_SHOWN]:
        console.print(f"! undeliverable: {one}", style="yellow", markup=False)
    if len(listed) > MOST_SHOWN:
        console.print(f"  … and {len(listed) - MOST_SHOWN} more (--json has them all)")
    if listed:
        console.print("  `shop mails list` shows them, `shop mails resend` sends them again")
    if evidence.put_off:
        console.print(
            f"! {len(evidence.put_off)} mails wait for their recipients' hourly limit", style="yellow"
        )
