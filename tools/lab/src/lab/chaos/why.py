"""Why an order had to wait after a fault: the longest gap in its timeline, and what was logged meanwhile."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

MOST_LINES = 3
_LOUD = ('"level":"warning"', '"level":"error"')


@dataclass(frozen=True)
class Moment:
    """Something that happened to an order: an event of its saga, or that it was accepted, or paid."""

    what: str
    service: str
    at: datetime


@dataclass(frozen=True)
class Gap:
    """The longest time between two moments; the later one's service was waited for."""

    before: Moment
    after: Moment

    @property
    def seconds(self) -> float:
        return (self.after.at - self.before.at).total_seconds()

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s from {self.before.what} until {self.after.what} ({self.after.service})"


def longest_gap(moments: Iterable[Moment]) -> Gap | None:
    """None for fewer than two moments."""
    ordered = sorted(moments, key=lambda moment: moment.at)
    gaps = [Gap(*pair) for pair in pairwise(ordered)]
    return max(gaps, key=lambda gap: gap.seconds, default=None)


def logged(lines: Iterable[str], gap: Gap) -> list[str]:
    """The warnings and errors of a service within the gap, the most frequent first: `3× database away`."""
    said: Counter[str] = Counter()
    for line in lines:
        if any(mark in line for mark in _LOUD) and (found := _read(line)) is not None:
            at, event = found
            if gap.before.at <= at <= gap.after.at:
                said[event] += 1
    return [f"{count}× {event}" for event, count in said.most_common(MOST_LINES)]


def explain(gap: Gap, said: Sequence[str]) -> str:
    meanwhile = f"; {gap.after.service} logged meanwhile: {', '.join(said)}" if said else ""
    return f"{gap}{meanwhile}"


def _read(line: str) -> tuple[datetime, str] | None:
    """When a line was logged and what it says; None for half a line, which a killed process leaves."""
    try:
        entry: dict[str, Any] = json.loads(line)
        return datetime.fromisoformat(entry["timestamp"]), str(entry["event"])
    except (ValueError, KeyError, TypeError):
        return None
