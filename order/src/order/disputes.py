"""Disputes as an order knows them: what the shopper's bank asks back, and how that stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts import PaymentDisputed


@dataclass(frozen=True)
class Dispute:
    """`noted_at` is when payment heard of its status."""

    dispute_id: UUID
    amount: int
    reason: str
    status: str
    due_by: datetime | None
    noted_at: datetime


def noted(disputes: Sequence[Dispute], event: PaymentDisputed) -> tuple[Dispute, ...]:
    """With what the event says; of two statuses of one dispute the later counts, whichever comes first."""
    new = Dispute(
        event.dispute_id, event.amount.amount, event.reason, event.status, event.due_by, event.noted_at
    )
    by_id = {one.dispute_id: one for one in disputes}
    known = by_id.get(new.dispute_id, new)
    by_id[new.dispute_id] = max(known, new, key=lambda one: one.noted_at)
    return tuple(by_id.values())


def lost(disputes: Iterable[Dispute]) -> int:
    """What the shopper has from her bank for good."""
    return sum(one.amount for one in disputes if one.status == "lost")
