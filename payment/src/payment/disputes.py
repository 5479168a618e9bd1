"""Disputes: the shopper's bank asks for the money back. The shop can only answer, at the provider; what it
must do here is know."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from contracts import Money, PaymentDisputed
from payment.domain import Payment
from payment.found import FoundDispute

_DISPUTES = UUID("4a3c00cb-c265-47dc-a10d-f4b8c4ed1875")
_TICK = timedelta(microseconds=1)


ENDED = ("won", "lost", "warning_closed", "prevented")
"""Statuses after which nothing is to be done about a dispute."""
LOST = "lost"
NEED_ANSWER = ("needs_response", "warning_needs_response")
"""Statuses in which the bank waits for what the shop has to say."""


@dataclass(eq=False)
class Dispute:
    """`provider_id` is how the provider calls it; `noted_at` is when its status was heard of."""

    dispute_id: UUID
    order_id: UUID
    provider_id: str
    amount: int
    currency: str
    reason: str
    status: str
    due_by: datetime | None
    noted_at: datetime


def known_as(provider_id: str) -> UUID:
    """The shop's id of that dispute."""
    return uuid5(_DISPUTES, provider_id)


def lose(payment: Payment, dispute: Dispute) -> bool:
    """The shopper's bank has taken so much for good, and nobody can refund that. What went back before stays
    as it was told. Tells whether that is new."""
    was_refused = payment.state == "refund_failed" and payment.refund_at is not None
    if str(dispute.dispute_id) in payment.refunds or not (payment.state == "captured" or was_refused):
        return False
    payment.count(dispute.dispute_id, min(dispute.amount, payment.left))
    return True


def is_news(known: Dispute | None, found: FoundDispute) -> bool:
    """Whether its status is not known yet."""
    return known is None or known.status != found.status


def opened(payment: Payment, found: FoundDispute, amount: Money, now: datetime) -> Dispute:
    """One that was not known."""
    return Dispute(
        known_as(found.id),
        payment.order_id,
        found.id,
        amount.amount,
        amount.currency,
        found.reason,
        found.status,
        found.due_by,
        now,
    )


def turned(known: Dispute, found: FoundDispute, now: datetime) -> None:
    """It has another status. That was noted later than the one before, whatever the clock of this copy of the
    service says: whoever hears both takes the later one."""
    known.status, known.due_by = found.status, found.due_by
    known.noted_at = max(now, known.noted_at + _TICK)


def disputed(payment: Payment, known: Dispute) -> PaymentDisputed:
    """What is published of it as it stands."""
    return PaymentDisputed(
        order_id=payment.order_id,
        dispute_id=known.dispute_id,
        payment_id=payment.payment_id or "",
        amount=Money(amount=known.amount, currency=known.currency),
        reason=known.reason,
        status=known.status,
        due_by=known.due_by,
        noted_at=known.noted_at,
    )
