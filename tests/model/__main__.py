"""`python -m tests.model`: explores every shop to the end. Exits with 1 when a promise is broken."""

import argparse
import gc
import json
import logging
import sys
from typing import Any

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.model import history
from tests.model.saga_world import Shop
from tests.model.shops import SHOPS, Result, search
from tests.model.tabs import Tabs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    asked = parser.parse_args()
    gc.disable()  # millions of tuples and no circle among them
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    results = [_watched(shop, quiet=asked.json) for shop in SHOPS]
    if asked.json:
        sys.stdout.write(json.dumps([_document(result) for result in results], indent=2) + "\n")
    else:
        _tell(results)
    return int(any(result.violation for result in results))


def _watched(shop: Shop | Tabs, *, quiet: bool) -> Result:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as progress:
        task = progress.add_task(shop.name)

        def note(visited: int, known: int) -> None:
            progress.update(task, description=f"{shop.name}: {visited:,} of {known:,} states so far")

        return search(shop, note)


def _document(one: Result) -> dict[str, Any]:
    broken = one.violation and {
        "promise": one.violation[1].broken,
        "history": [history.describe(one.violation[0], move) for move, _ in one.violation[1].history],
    }
    counts = {"states": one.states, "transitions": one.transitions, "final": one.final}
    return {"shop": one.name, **counts, "seconds": round(one.seconds, 1), "ends": one.ends, "broken": broken}


def _tell(results: list[Result]) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("explored to the end")
    for column in ("states", "transitions", "final", "s"):
        table.add_column(column, justify="right")
    for one in results:
        counts = (f"{count:,}" for count in (one.states, one.transitions, one.final))
        table.add_row(one.name, *counts, f"{one.seconds:.1f}")
    console.print(table)
    for one in results:
        if one.violation is not None:
            console.print(f"\n{one.name}", highlight=False)
            console.print(history.draw(*one.violation))
    states = sum(one.states for one in results)
    broken = [one.name for one in results if one.violation]
    outcome = f"broken promises: {'; '.join(broken)}" if broken else "no promise broken"
    console.print(f"\n{states:,} states: {outcome}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
