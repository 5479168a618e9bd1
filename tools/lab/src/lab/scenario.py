"""`shop scenario list` and `shop scenario run`: play checkout sagas and compare what came out."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab.services import scenario_shop
from scenarios import EXERCISES, SCENARIOS, Report, Scenario, run
from shop import targets
from shop.errors import ShopError
from shop.targets import Target
from shop.terminal import Json, counting

app = typer.Typer(help="Checkout sagas to replay.", no_args_is_help=True)


@app.command("list")
def list_scenarios(as_json: Json = False) -> None:
    """Name and summary of every scenario, then of the exercises: an operator has to go on where they end."""
    found = [*SCENARIOS.values(), *EXERCISES.values()]
    if as_json:
        listed = [{"name": s.name, "story": s.summary, "exercise": s.name in EXERCISES} for s in found]
        print(json.dumps(listed, indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for scenario in found:
        exercise = "[yellow]exercise[/]: " if scenario.name in EXERCISES else ""
        table.add_row(f"[bold]{scenario.name}", f"{exercise}{scenario.summary}")
    Console().print(table)


@app.command("run")
def run_scenarios(
    names: Annotated[list[str] | None, typer.Argument(help="Which; see `shop scenario list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every scenario, no exercise.")] = False,
    url: Annotated[str | None, typer.Option(help="A shop elsewhere; the rest is in SHOP_….")] = None,
    as_json: Json = False,
) -> None:
    """Play scenarios one after the other. Exits with 1 unless all came out as expected."""
    chosen = _chosen(names or [], everything)
    reports = play(chosen, targets.resolve(url), Console(quiet=as_json))
    if as_json:
        print(json.dumps([_document(report) for report in reports], indent=2))
    if not all(report.as_expected for report in reports):
        raise typer.Exit(1)


def play(chosen: list[Scenario], target: Target, console: Console) -> list[Report]:
    """Play them with a progress bar, and print a line for each."""
    shop, reports = scenario_shop(target), []
    with counting(console) as progress:
        bar = progress.add_task("scenarios", total=len(chosen))
        for scenario in chosen:
            progress.update(bar, description=scenario.name)
            report = asyncio.run(run(scenario, shop))
            reports.append(report)
            _print(console, report)
            progress.advance(bar)
    return reports


def _document(report: Report) -> dict[str, Any]:
    return asdict(report) | {
        "scenario": report.scenario.name,
        "as_expected": report.as_expected,
        "expected": asdict(report.scenario.expected),
        "claims": [{"claim": claim, "holds": holds} for claim, holds in report.claims],
    }


def _chosen(names: list[str], everything: bool) -> list[Scenario]:
    if everything:
        return list(SCENARIOS.values())
    if not names:
        raise ShopError("name a scenario or pass --all; `shop scenario list` shows them")
    known = SCENARIOS | EXERCISES
    for name in names:
        if name not in known:
            raise ShopError(f"there is no scenario {name}; `shop scenario list` shows them")
    return [known[name] for name in names]


def _print(console: Console, report: Report) -> None:
    mark = "[green]✓[/]" if report.as_expected else "[red]✗[/]"
    console.print(f"{mark} [bold]{report.scenario.name}[/] {report.scenario.summary} ({report.seconds} s)")
    if report.as_expected:
        if report.scenario.name in EXERCISES:
            console.print(f"    go on with `shop saga show {report.order_id}`", highlight=False)
        return
    console.print(f"    expected {report.scenario.expected}")
    console.print(f"    came out {report.outcome}")
    for claim, holds in report.claims:
        if not holds:
            console.print(f"    [red]does not hold:[/] {claim}")
    if report.error:
        console.print(f"    {report.error}", style="red", markup=False)
