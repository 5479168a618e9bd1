"""How long the shop took to come back after each fault, told from when orders were accepted and ended.

A fault is blamed for the time from its end until an order that was placed since is paid, but only as long as
no other fault that can hold orders goes on: from there on the time is the other's. Of several that are over,
the last is blamed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.chaos.memory import Checkout
from lab.chaos.plan import Fault


@dataclass(frozen=True)
class Injected:
    """A fault that has happened; `began` and `over` are monotonic seconds."""

    fault: Fault
    began: float
    over: float


@dataclass(frozen=True)
class Recovery:
    """Seconds after the fault's end: until an order placed since was paid, and until every order that was
    pending then had ended. None: not while anybody looked.

    `alone` is how much of the first this fault is to blame for, None if another was going on when it ended;
    `held` is the first order that was accepted since, and `why` what it waited for.
    """

    fault: Fault
    until_paid: float | None
    until_caught_up: float | None
    alone: float | None = None
    held: str | None = None
    why: str | None = None


def recoveries(injected: Iterable[Injected], checkouts: Sequence[Checkout]) -> list[Recovery]:
    """Cards that are slow by themselves do not count."""
    quick = [one for one in checkouts if one.is_quick and one.accepted_at is not None]
    every = list(injected)
    holding = [one for one in every if one.fault.can_hold_orders]
    return [_recovery(one, quick, holding) for one in every]


def first_accepted(since: float, checkouts: Iterable[Checkout]) -> Checkout | None:
    """The first order that was accepted after a moment, and was paid."""
    paid = [one for one in checkouts if one.status == "paid" and (one.accepted_at or 0) > since]
    return min(paid, key=lambda one: one.accepted_at or 0, default=None)


def longest_pause(checkouts: Iterable[Checkout]) -> float:
    """The most seconds that went by with no order being paid, from the first that was to the last."""
    paid = sorted(one.ended_at for one in checkouts if one.ended_at is not None and one.status == "paid")
    return round(max((later - earlier for earlier, later in pairwise(paid)), default=0), 1)


def _alone(injected: Injected, until: float, holding: Iterable[Injected]) -> float | None:
    """Of the seconds from the fault's end, those before another fault that can hold orders goes on."""
    others = [one for one in holding if one is not injected and one.over > injected.over]
    if not injected.fault.can_hold_orders or any(one.began <= injected.over for one in others):
        return None
    return min([until, *(one.began for one in others)]) - injected.over


def _recovery(injected: Injected, quick: Sequence[Checkout], holding: Sequence[Injected]) -> Recovery:
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
    alone = _alone(injected, min(paid), holding) if paid else None
    first = first_accepted(over, quick)
    return Recovery(
        injected.fault,
        round(min(paid) - over, 1) if paid else None,
        round(max(ended, default=over) - over, 1) if len(ended) == len(pending) else None,
        None if alone is None else round(alone, 1),
        next(iter(first.order_ids), None) if first else None,
    )
