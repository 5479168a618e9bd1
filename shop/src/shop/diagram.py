"""A saga as a diagram: a lane for each service with its events, their times and causes, and compensations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from contracts import format_amount_with_code

LANES = ("order", "product", "payment")
PIVOT = "order.paid"
ACTION_REQUIRED = "payment.action_required"
REFUSALS = {"stock.rejected", "payment.declined"}
COMPENSATIONS = {
    "stock.released",
    "payment.voided",
    "payment.refunded",
    "stock.returned",
    "payment.refunded_in_part",
}

Event = Mapping[str, Any]


def diagram(order: Mapping[str, Any], events: Sequence[Event]) -> Table:
    """Time runs down; each event is in the lane of the service that published it."""
    table = Table(title=title(order), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("when", justify="right", style="dim", no_wrap=True)
    for lane in LANES:
        table.add_column(lane, no_wrap=True)
    table.add_column("because of", style="dim")
    began = _time(events[0]) if events else None
    for event in events:
        assert began is not None
        seconds = (_time(event) - began).total_seconds()
        cells = [mark(event["type"]) if lane == event["said_by"] else Text("│", "dim") for lane in LANES]
        table.add_row(f"+{seconds:.3f} s", *cells, _because(event))
    return table


def title(order: Mapping[str, Any]) -> str:
    total, reason = order["total"], order.get("reason")
    status = f"{order['status']} ({reason})" if reason else order["status"]
    status += ", fulfilled" if order.get("fulfilled_at") else ""
    which = f"{order['number']} ({order['order_id']})"
    refunded = (order.get("refunded") or {}).get("amount")
    suffix = f", {format_amount_with_code(refunded, total['currency'])} refunded" if refunded else ""
    return f"order {which}: {status}, {format_amount_with_code(total['amount'], total['currency'])}{suffix}"


def mark(kind: str) -> Text:
    """An event's type, marked by what it means for the saga."""
    if kind == PIVOT:
        return Text(f"◆ {kind}", "bold green")
    if kind == ACTION_REQUIRED:
        return Text(f"? {kind}", "cyan")
    if kind in COMPENSATIONS:
        return Text(f"↶ {kind}", "yellow")
    if kind in REFUSALS or kind == "order.cancelled":
        return Text(f"✗ {kind}", "red")
    return Text(f"● {kind}")


def _because(event: Event) -> str:
    if cause := event["causation_id"]:
        notes = [cause.partition("/")[0]]
    else:
        notes = ["the shopper"] if event["type"] == "order.created" else []
    return "; ".join(
        [*notes, *(str(event["data"][name]) for name in ("reason", "code") if name in event["data"])]
    )


def _time(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])
