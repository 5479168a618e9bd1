"""Why an order waited: the longest gap in what happened to it, and what was logged meanwhile."""

import json
from datetime import UTC, datetime, timedelta

from lab.chaos.recovery import Gap, Moment, explain, logged, longest_gap

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def moment(what: str, service: str, seconds: float) -> Moment:
    return Moment(what, service, BEGAN + timedelta(seconds=seconds))


CREATED, RESERVED = moment("order.created", "order", 1), moment("stock.reserved", "product", 2)
PAID = moment("order.paid", "payment", 14.5)
GAP = Gap(RESERVED, PAID)


def line(seconds: float, event: str, level: str = "warning") -> str:
    at = (BEGAN + timedelta(seconds=seconds)).isoformat()
    return json.dumps({"event": event, "level": level, "timestamp": at}, separators=(",", ":"))


def test_the_longest_gap_has_both_events_and_the_service_of_the_later() -> None:
    found = longest_gap([PAID, CREATED, RESERVED])
    assert found == GAP
    assert str(found) == "12.5 s from stock.reserved until order.paid (payment)"
    assert longest_gap([CREATED]) is None


def test_what_the_service_logged_meanwhile_is_counted() -> None:
    lines = [
        line(1, "too early"),
        line(3, "broker away"),
        line(4, "broker away", "error"),
        line(5, "an info", "info"),
        line(6, "half a line")[:-9],
        "no JSON at all",
        line(6, "lease lost"),
        line(20, "too late"),
    ]
    assert logged(lines, GAP) == ["2× broker away", "1× lease lost"]
    assert (
        explain(GAP, logged(lines, GAP)) == f"{GAP}; payment logged meanwhile: 2× broker away, 1× lease lost"
    )
    assert explain(GAP, []) == str(GAP)
