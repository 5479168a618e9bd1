"""An order's story as its owner may read it: what was said, by whom, when, and what led to it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from chassis.messaging.envelope import Envelope
from contracts import (
    OrderCancelled,
    OrderCreated,
    OrderRefundSettled,
    OrderReturned,
    PaymentActionRequired,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    StockRejected,
    StockReleased,
    StockReturned,
)
from contracts.order import AboutOrder

# Never `contact` or the bank's page, and nothing that the order itself shows already and better.
_TOLD: dict[type[AboutOrder], set[str]] = {
    OrderCreated: {"total", "deadline"},
    OrderCancelled: {"reason", "was_paid", "short", "decline_reason", "cancelled_by"},
    StockRejected: {"short"},
    PaymentActionRequired: {"expires_at"},
    StockReleased: {"restocked"},
    PaymentDeclined: {"code", "decline_reason"},
    PaymentRefunded: {"total"},
    PaymentRefundFailed: {"refund_id", "amount", "code"},
    OrderRefundSettled: {"refund_id", "amount"},
    PaymentDisputed: {"dispute_id", "amount", "reason", "status", "due_by"},
    OrderReturned: {"return_id", "lines", "amount", "by"},
    StockReturned: {"return_id"},
    PaymentRefundedInPart: {"refund_id", "amount", "by"},
}


@dataclass(eq=False)
class TimelineEntry:
    """One event of an order's saga; `time` is when it was said."""

    event_id: str
    order_id: UUID
    type: str
    said_by: str
    time: datetime
    causation_id: str | None
    traceparent: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, event: AboutOrder, envelope: Envelope) -> Self:
        told = _TOLD.get(type(event))
        return cls(
            event_id=envelope.id,
            order_id=event.order_id,
            type=envelope.type,
            said_by=envelope.source,
            time=envelope.time,
            causation_id=envelope.causation_id,
            traceparent=envelope.traceparent,
            data=event.model_dump(mode="json", include=told, exclude_none=True) if told else {},
        )
