"""How long the shop took to recover from each fault, and what an order waited for after it.

The time from a fault's end until an order that was placed since is paid counts as that fault's, but only
while no other fault that can delay orders lasts: from then on it counts as the other's. Of several faults
that are over, it counts as the last one's.
"""

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
from lab.chaos.plan import Fault
from lab.services import fetch
from shop.targets import SERVICES

LONG = 15.0  # seconds that one fault may delay a new order
MOST_LINES = 3
_LEVELS = ('"level":"warning"', '"level":"error"')
_TIMELINE = "SELECT type, said_by, time FROM timeline WHERE order_id = $1::uuid ORDER BY time"
_ROTATED = ".1"


@dataclass(frozen=True)
class Injected:
    """A fault that was injected; `began` and `over` are monotonic seconds."""

    fault: Fault
    began: float
    over: float


@dataclass(frozen=True)
class Recovery:
    """Seconds after the fault's end: until an order placed since was paid, and until every order that was
    pending then had ended. None: not during the run.

    `alone` is how much of the first counts as this fault's, None if another one lasted longer; `held` is the
    first order that was accepted since, and `why` is what it waited for.
    """

    fault: Fault
    until_paid: float | None
    until_caught_up: float | None
    alone: float | None = None
    held: str | None = None
    why: str | None = None


def recoveries(injected: Iterable[Injected], checkouts: Sequence[Checkout]) -> list[Recovery]:
    """For each fault, in the same order. Cards that are slow by themselves do not count."""
    quick = [one for one in checkouts if one.is_quick and one.accepted_at is not None]
    every = list(injected)
    delaying = [one for one in every if one.fault.can_delay_orders]
    return [_recovery(one, quick, delaying) for one in every]


def first_accepted(since: float, checkouts: Iterable[Checkout]) -> Checkout | None:
    """The first order that was accepted after a moment, and was paid."""
    paid = [one for one in checkouts if one.status == "paid" and (one.accepted_at or 0) > since]
    return min(paid, key=lambda one: one.accepted_at or 0, default=None)


def longest_pause(checkouts: Iterable[Checkout]) -> float:
    """The most seconds between two payments in a row."""
    paid = sorted(one.ended_at for one in checkouts if one.ended_at is not None and one.status == "paid")
    return round(max((later - earlier for earlier, later in pairwise(paid)), default=0), 1)


def _alone(injected: Injected, until: float, delaying: Iterable[Injected]) -> float | None:
    """Of the seconds from the fault's end, those before another fault that can delay orders begins."""
    others = [one for one in delaying if one is not injected and one.over > injected.over]
    if not injected.fault.can_delay_orders or any(one.began <= injected.over for one in others):
        return None
    return min([until, *(one.began for one in others)]) - injected.over


def _recovery(injected: Injected, quick: Sequence[Checkout], delaying: Sequence[Injected]) -> Recovery:
    over = injected.over
    since = [one for one in quick if one.accepted_at is not None and one.accepted_at > over]
    paid = [one.ended_at for one in since if one.status == "paid" and one.ended_at is not None]
    before = [one for one in quick if one.accepted_at is not None and one.accepted_at <= over]
    pending = [one for one in before if one.ended_at is None or one.ended_at > over]
    ended = [one.ended_at for one in pending if one.ended_at is not None]
    alone = _alone(injected, min(paid), delaying) if paid else None
    first = first_accepted(over, quick)
    return Recovery(
        injected.fault,
        round(min(paid) - over, 1) if paid else None,
        round(max(ended, default=over) - over, 1) if len(ended) == len(pending) else None,
        None if alone is None else round(alone, 1),
        next(iter(first.order_ids), None) if first else None,
    )


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
    by_order = {order_id: one for one in checkouts for order_id in one.order_ids}
    return [
        replace(one, why=await _reason(stack, one.held, fault.over, by_order[one.held]))
        if one.held and one.alone and (one.alone > LONG or one.alone == longest)
        else one
        for fault, one in zip(injected, recoveries, strict=True)
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
