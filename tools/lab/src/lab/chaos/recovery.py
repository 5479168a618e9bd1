"""How long the shop took to recover from each fault, computed from when orders were accepted and ended.

The time from a fault's end until an order that was placed since is paid counts as that fault's, but only
while no other fault that can delay orders lasts: from then on it counts as the other's. Of several faults
that are over, it counts as the last one's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.chaos.history import Checkout
from lab.chaos.plan import Fault


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
    pending = [
        one
        for one in quick
        if one.accepted_at is not None
        and one.accepted_at <= over
        and (one.ended_at is None or one.ended_at > over)
    ]
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
