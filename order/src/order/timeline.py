"""The records about an order besides its state: the timeline of its events, and the audit of staff's
actions."""

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

# Which fields of an event its timeline entry shows: never `contact` or the bank's page, and nothing that the
# order itself shows already.
_SHOWN: dict[type[AboutOrder], set[str]] = {
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
    """One event of an order's saga; `said_by` is the service that published it, `time` is when."""

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
        fields = _SHOWN.get(type(event))
        return cls(
            event_id=envelope.id,
            order_id=event.order_id,
            type=envelope.type,
            said_by=envelope.source,
            time=envelope.time,
            causation_id=envelope.causation_id,
            traceparent=envelope.traceparent,
            data=event.model_dump(mode="json", include=fields, exclude_none=True) if fields else {},
        )


@dataclass(eq=False)
class StaffAction:
    """What a member of staff did to an order, stored with the change. `about` has the details, such as the
    return and its amount."""

    action_id: UUID
    order_id: UUID
    action: str
    done_by: UUID
    done_at: datetime
    why: str | None
    about: dict[str, Any]
