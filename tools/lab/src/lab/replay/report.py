"""The report of a replay: every invoice with its outcome, and what became of every line of the file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.replay.catalogue import Loaded
from lab.replay.invoices import UNREADABLE, InvoiceFile, Kind
from lab.replay.pace import ADVICE
from lab.replay.play import Outcome, Result
from shop.terminal import printable

MOST_SHOWN = 5
_COLOURS: dict[Outcome, str] = {
    "paid": "green",
    "cancelled": "yellow",
    "placed_before": "dim",
    "skipped": "dim",
    "failed": "red",
    "unended": "red",
}


@dataclass(frozen=True)
class Replay:
    """A replay's result; `results` are in the order of the file, `limited` counts the responses 429."""

    path: str
    file: InvoiceFile
    loaded: Loaded
    repriced: int
    results: list[Result]
    limited: int
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Every row could be read, and every invoice is paid, cancelled, or skipped for a reason."""
        ended = all(result.outcome not in ("failed", "unended") for result in self.results)
        return ended and not self.file.unreadable

    def outcomes(self) -> dict[str, int]:
        counts = Counter(result.outcome for result in self.results)
        return {outcome: counts[outcome] for outcome in _COLOURS}

    def lines(self) -> dict[str, int]:
        """The physical lines of the file by kind; each has one."""
        return {kind: self.file.lines[kind] for kind in get_args(Kind)}

    def refused(self) -> dict[str, list[int]]:
        """The lines where refused rows begin, by why; the commonest reason first."""
        lines: dict[str, list[int]] = {}
        for row in self.file.refused:
            lines.setdefault(row.why if row.readable else UNREADABLE, []).append(row.line)
        return dict(sorted(lines.items(), key=lambda reason: -len(reason[1])))


def document(replay: Replay) -> dict[str, Any]:
    """The JSON document."""
    file = replay.file
    return {
        "file": replay.path,
        "written": asdict(file.written),
        "seconds": replay.seconds,
        "totals": {
            "invoices": len(file.invoices),
            **replay.outcomes(),
            "lines": file.lines.total(),
            "lines_by_kind": replay.lines(),
            "special": dict(file.special.most_common()),
            "refused": {why: len(lines) for why, lines in replay.refused().items()},
            "unreadable": len(file.unreadable),
            "rows_respelt": file.respelt,
            "rows_repriced": replay.repriced,
            "products": asdict(replay.loaded),
            "rate_limited": replay.limited,
        },
        "refused": [asdict(row) for row in file.refused],
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
    """Print outcomes and reasons with their counts and the first invoices or lines of each."""
    console.print(_outcomes(replay))
    for note in _notes(replay):
        console.print(note, highlight=False, markup=False)
    for row in replay.file.unreadable[:MOST_SHOWN]:
        console.print(f"  line {row.line}: {printable(row.why)}", style="red", markup=False)
    if (more := len(replay.file.unreadable) - MOST_SHOWN) > 0:
        console.print(f"  … and {more} more that cannot be read (--json has them all)")


def _outcomes(replay: Replay) -> Table:
    table = Table("outcome", "why", "invoices", "which", box=None, pad_edge=False)
    table.columns[2].justify = "right"
    for outcome, colour in _COLOURS.items():
        groups: dict[str, list[str]] = {}
        for result in replay.results:
            if result.outcome == outcome:
                groups.setdefault(result.reason or "", []).append(result.step.invoice.number)
        for reason, numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
            shown = f"[{colour}]{outcome.replace('_', ' ')}[/]"
            table.add_row(shown, escape(reason), str(len(numbers)), escape(_few(numbers)))
    return table


def _notes(replay: Replay) -> Iterator[str]:
    file, loaded, written = replay.file, replay.loaded, replay.file.written
    yield ""
    yield f"{len(file.invoices)} invoices of {file.lines.total()} lines in {replay.seconds:.1f} s"
    legacy = f" and {written.legacy} lines of Windows-1252" if written.legacy else ""
    yield f"read as {written.encoding}{legacy}, delimiter {written.delimiter!r}, dates {written.dates.form}"
    kinds = (f"{count} {kind.replace('_', ' ')}" for kind, count in replay.lines().items())
    yield "lines: " + ", ".join(kinds)
    for why, count in file.special.most_common():
        yield f"  {count:>5} {printable(why)}"
    for why, lines in replay.refused().items():
        yield f"  {len(lines):>5} {why}: line {_few(lines)}"
    if file.respelt:
        yield f"{file.respelt} rows had a stock code that differs from an earlier one in case only"
    yield (
        f"products: {loaded.created} created, {loaded.changed} changed, {loaded.unchanged} unchanged,"
        f" {loaded.kept} kept as the shop had them; stock adjusted for {loaded.adjusted}"
    )
    yield f"{replay.repriced} rows had another price than the catalogue, which wins"
    if replay.limited:
        yield f"the gateway's rate limits were met {replay.limited} times: {ADVICE}"


def _few(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:MOST_SHOWN])) + (" …" if len(items) > MOST_SHOWN else "")
