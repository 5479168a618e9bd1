"""The report of a replay: every invoice with its outcome, and what became of every row of the file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.replay.catalogue import Loaded
from lab.replay.invoices import UNREADABLE, InvoiceFile
from lab.replay.play import Result

MOST_SHOWN = 5
_COLOURS = {"paid": "green", "cancelled": "yellow", "skipped": "dim", "failed": "red", "unended": "red"}


@dataclass(frozen=True)
class Replay:
    """A replay's result; `results` are in the order of the file, `limited` counts the responses 429."""

    path: str
    run: str
    file: InvoiceFile
    loaded: Loaded
    repriced: int
    results: list[Result]
    limited: int
    seconds: float

    @property
    def all_ended(self) -> bool:
        """Every invoice is paid, cancelled, or skipped for a reason."""
        return all(result.outcome not in ("failed", "unended") for result in self.results)

    def outcomes(self) -> dict[str, int]:
        counts = Counter[str](result.outcome for result in self.results)
        return {outcome: counts[outcome] for outcome in _COLOURS}

    def dropped(self) -> dict[str, int]:
        """Rows by why they were dropped, the commonest first; with those kept they are all."""
        total = Counter({UNREADABLE: sum(row.invoice is None for row in self.file.bad_rows)})
        for invoice in self.file.invoices:
            total += invoice.dropped
        return dict(total.most_common())


def document(replay: Replay) -> dict[str, Any]:
    """The JSON document."""
    file = replay.file
    return {
        "file": replay.path,
        "run": replay.run,
        "seconds": replay.seconds,
        "totals": {
            "invoices": len(file.invoices),
            **replay.outcomes(),
            "rows": file.rows,
            "rows_kept": sum(len(invoice.rows) for invoice in file.invoices),
            "rows_dropped": replay.dropped(),
            "rows_repriced": replay.repriced,
            "products": asdict(replay.loaded),
            "rate_limited": replay.limited,
        },
        "bad_rows": [asdict(row) for row in file.bad_rows],
        "invoices": [_entry(result) for result in replay.results],
    }


def _entry(result: Result) -> dict[str, Any]:
    invoice = result.step.invoice
    return {
        "invoice": invoice.number,
        "date": invoice.issued.isoformat() if invoice.issued else None,
        "customer": invoice.customer,
        "outcome": result.outcome,
        "reason": result.reason,
        "detail": result.detail,
        "order_id": result.order_id,
        "seconds": result.seconds,
        "lines": len(invoice.pieces),
        "dropped": invoice.dropped.total(),
        "dropped_for": dict(invoice.dropped),
    }


def show(console: Console, replay: Replay) -> None:
    """Print outcomes and reasons with their counts and the first invoices of each."""
    console.print(_outcomes(replay))
    for note in _notes(replay):
        console.print(note, highlight=False, markup=False)
    for row in replay.file.bad_rows[:MOST_SHOWN]:
        console.print(f"  line {row.line}: {row.why}", style="red", markup=False)
    if (more := len(replay.file.bad_rows) - MOST_SHOWN) > 0:
        console.print(f"  … and {more} more (--json has them all)")


def _outcomes(replay: Replay) -> Table:
    table = Table("outcome", "why", "invoices", "which", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for outcome, colour in _COLOURS.items():
        groups: dict[str, list[str]] = {}
        for result in replay.results:
            if result.outcome == outcome:
                groups.setdefault(result.reason or "", []).append(result.step.invoice.number)
        for reason, numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
            shown = ", ".join(numbers[:MOST_SHOWN]) + (" …" if len(numbers) > MOST_SHOWN else "")
            table.add_row(f"[{colour}]{outcome}[/]", escape(reason), str(len(numbers)), escape(shown))
    return table


def _notes(replay: Replay) -> Iterator[str]:
    file, loaded = replay.file, replay.loaded
    dropped = replay.dropped()
    yield ""
    yield f"{len(file.invoices)} invoices of {file.rows} rows in {replay.seconds:.1f} s"
    yield (
        f"products: {loaded.created} created, {loaded.changed} changed, {loaded.unchanged} unchanged;"
        f" stock adjusted for {loaded.adjusted}"
    )
    yield f"{replay.repriced} rows had another price than the catalogue, which wins"
    if replay.limited:
        yield (
            f"the gateway's rate limits were met {replay.limited} times:"
            " `shop up --set gateway.RATE_FACTOR=20` raises them"
        )
    yield f"{sum(dropped.values())} rows were dropped"
    for why, count in dropped.items():
        yield f"  {count:>5} {why}"
