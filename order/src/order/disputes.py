"""Disputes of an order's payment, and their status."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts import PaymentDisputed


@dataclass(frozen=True)
class Dispute:
    """`noted_at` is when the payment service learnt its status."""

    dispute_id: UUID
    amount: int
    reason: str
    status: str
    due_by: datetime | None
    noted_at: datetime


def noted(disputes: Sequence[Dispute], event: PaymentDisputed) -> tuple[Dispute, ...]:
    """The disputes with the event applied. The latest status of a dispute counts, in whatever order they
    arrive."""
    new = Dispute(
        event.dispute_id, event.amount.amount, event.reason, event.status, event.due_by, event.noted_at
    )
    by_id = {one.dispute_id: one for one in disputes}
    known = by_id.get(new.dispute_id, new)
    by_id[new.dispute_id] = max(known, new, key=lambda one: one.noted_at)
    return tuple(by_id.values())


def lost(disputes: Iterable[Dispute]) -> int:
    """What the bank has paid back to the shopper for good."""
    return sum(one.amount for one in disputes if one.status == "lost")
