"""Disputes: the shopper's bank claims the money back. The shop can only respond in the provider's dashboard;
here it records the dispute and publishes its status."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from contracts import Money, PaymentDisputed
from payment.domain import Payment
from payment.lookups import FoundDispute

_DISPUTES = UUID("4a3c00cb-c265-47dc-a10d-f4b8c4ed1875")
_TICK = timedelta(microseconds=1)


ENDED = ("won", "lost", "warning_closed", "prevented")
"""Statuses after which a dispute is closed."""
LOST = "lost"
NEED_ANSWER = ("needs_response", "warning_needs_response")
"""Statuses in which the bank waits for the shop's response."""


@dataclass(eq=False)
class Dispute:
    """`provider_id` is the provider's id of it; `noted_at` is when its status was received."""

    dispute_id: UUID
    order_id: UUID
    provider_id: str
    amount: int
    currency: str
    reason: str
    status: str
    due_by: datetime | None
    noted_at: datetime


def dispute_id_of(provider_id: str) -> UUID:
    """The shop's id of that dispute."""
    return uuid5(_DISPUTES, provider_id)


def lose(payment: Payment, dispute: Dispute) -> bool:
    """The shopper's bank keeps the disputed amount, so it cannot be refunded any more. What was refunded
    before stays as it was published. Returns whether this changes the payment."""
    was_refused = payment.state == "refund_failed" and payment.refund_at is not None
    if str(dispute.dispute_id) in payment.refunds or not (payment.state == "captured" or was_refused):
        return False
    payment.set_refunded(dispute.dispute_id, min(dispute.amount, payment.left))
    return True


def is_changed(known: Dispute | None, found: FoundDispute) -> bool:
    """Whether the provider reports another status than the known one."""
    return known is None or known.status != found.status


def new_dispute(payment: Payment, found: FoundDispute, amount: Money, now: datetime) -> Dispute:
    """A dispute that was not known yet."""
    return Dispute(
        dispute_id_of(found.id),
        payment.order_id,
        found.id,
        amount.amount,
        amount.currency,
        found.reason,
        found.status,
        found.due_by,
        now,
    )


def update(known: Dispute, found: FoundDispute, now: datetime) -> None:
    """The status has changed. `noted_at` always increases, whatever this process's clock says, because
    consumers keep the status with the latest `noted_at`."""
    known.status, known.due_by = found.status, found.due_by
    known.noted_at = max(now, known.noted_at + _TICK)


def payment_disputed(payment: Payment, known: Dispute) -> PaymentDisputed:
    """The event of the dispute's current status."""
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
