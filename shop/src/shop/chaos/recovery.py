"""How long the shop took to come back after each fault, told from when orders were accepted and ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shop.chaos.plan import Fault
from shop.chaos.witness import Checkout


@dataclass(frozen=True)
class Injected:
    """A fault that has happened; `began` and `over` are monotonic seconds."""

    fault: Fault
    began: float
    over: float


@dataclass(frozen=True)
class Recovery:
    """Seconds after the fault's end: until an order placed since was paid, and until every order that was
    pending then had ended. None: not while anybody looked."""

    fault: Fault
    until_paid: float | None
    until_caught_up: float | None


def recoveries(injected: Iterable[Injected], checkouts: Sequence[Checkout]) -> list[Recovery]:
    """Cards that are slow by themselves do not count."""
    quick = [one for one in checkouts if one.is_quick and one.accepted_at is not None]
    return [_recovery(one, quick) for one in injected]


def longest_pause(checkouts: Iterable[Checkout]) -> float:
    """The most seconds that went by with no order being paid, from the first that was to the last."""
    paid = sorted(one.ended_at for one in checkouts if one.ended_at is not None and one.status == "paid")
    return round(max((later - earlier for earlier, later in pairwise(paid)), default=0), 1)


def _recovery(injected: Injected, quick: Sequence[Checkout]) -> Recovery:
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
    return Recovery(
        injected.fault,
        round(min(paid) - over, 1) if paid else None,
        round(max(ended, default=over) - over, 1) if len(ended) == len(pending) else None,
    )
