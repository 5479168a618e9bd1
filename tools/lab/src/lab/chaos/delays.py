"""Why an order had to wait after a fault: the longest gap in its timeline, and what was logged meanwhile."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from devstack import Stack
from lab.chaos.history import Checkout
from lab.chaos.recovery import Injected, Recovery
from lab.chaos.report import LONG
from lab.services import fetch
from shop.targets import SERVICES

MOST_LINES = 3
_LEVELS = ('"level":"warning"', '"level":"error"')
_TIMELINE = "SELECT type, said_by, time FROM timeline WHERE order_id = $1::uuid ORDER BY time"
_ROTATED = ".1"


@dataclass(frozen=True)
class Moment:
    """Something that happened to an order: an event of its saga, or that it was accepted, or paid."""

    what: str
    service: str
    at: datetime


@dataclass(frozen=True)
class Gap:
    """The longest time between two moments; the order waited for the later one's service."""

    before: Moment
    after: Moment

    @property
    def seconds(self) -> float:
        return (self.after.at - self.before.at).total_seconds()

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s from {self.before.what} until {self.after.what} ({self.after.service})"


def longest_gap(moments: Iterable[Moment]) -> Gap | None:
    """None for fewer than two moments."""
    gaps = [Gap(*pair) for pair in pairwise(sorted(moments, key=lambda moment: moment.at))]
    return max(gaps, key=lambda gap: gap.seconds, default=None)


def logged(lines: Iterable[str], gap: Gap) -> list[str]:
    """A service's warnings and errors within the gap, the most frequent first: `3× database unavailable`."""
    events: Counter[str] = Counter()
    for line in lines:
        if any(level in line for level in _LEVELS) and (entry := _parsed(line)) is not None:
            at, event = entry
            if gap.before.at <= at <= gap.after.at:
                events[event] += 1
    return [f"{count}× {event}" for event, count in events.most_common(MOST_LINES)]


def explain(gap: Gap, events: Sequence[str]) -> str:
    meanwhile = f"; {gap.after.service} logged meanwhile: {', '.join(events)}" if events else ""
    return f"{gap}{meanwhile}"


def _parsed(line: str) -> tuple[datetime, str] | None:
    """Time and event of a log line; None for half a line, which a killed process leaves."""
    try:
        entry: dict[str, Any] = json.loads(line)
        return datetime.fromisoformat(entry["timestamp"]), str(entry["event"])
    except (ValueError, KeyError, TypeError):
        return None


async def with_reasons(
    stack: Stack,
    recoveries: Sequence[Recovery],
    checkouts: Sequence[Checkout],
    injected: Sequence[Injected],
) -> list[Recovery]:
    """Adds the reason to each recovery that took over LONG seconds, and in any case to the longest."""
    longest = max((one.alone or 0 for one in recoveries), default=0)
    over = {id(one.fault): one.over for one in injected}
    by_order = {order_id: one for one in checkouts for order_id in one.order_ids}
    return [
        replace(one, why=await _reason(stack, one.held, over[id(one.fault)], by_order[one.held]))
        if one.held and one.alone and (one.alone > LONG or one.alone == longest)
        else one
        for one in recoveries
    ]


async def _reason(stack: Stack, order_id: str, over: float, checkout: Checkout) -> str | None:
    events = await fetch(stack, "order", _TIMELINE, order_id)
    assert checkout.accepted_at is not None
    assert checkout.ended_at is not None
    ended = _wall_clock(checkout.ended_at)
    gap = longest_gap(
        [
            Moment("the fault's end", "nobody", _wall_clock(over)),
            Moment("the checkout was accepted", "order", _wall_clock(checkout.accepted_at)),
            *(Moment(row["type"], row["said_by"], row["time"]) for row in events if row["time"] <= ended),
            Moment("the order was paid", "order", ended),
        ]
    )
    assert gap is not None
    return explain(gap, await asyncio.to_thread(logged, _log_lines(stack, gap.after.service), gap))


def _log_lines(stack: Stack, service: str) -> Iterator[str]:
    for copy in stack.copies(service) if service in SERVICES else []:
        log = stack.layout.log(copy)
        for file in (log.with_name(log.name + _ROTATED), log):
            if file.exists():
                with file.open(errors="replace") as lines:
                    yield from lines


def _wall_clock(monotonic: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)
