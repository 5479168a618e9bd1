"""The HTTP models for guests: an order is claimed by an account, or looked up without one."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from chassis.http.problems import Body
from chassis.messaging.encryption import LONGEST
from contracts import CancelReason, Line, MailAddress, Money, ShortLine
from contracts.order import WhyDeclined
from order.domain import Status
from order.schemas import Number, PendingAction, TypedNumber


class ClaimOrder(Body):
    """The token of the link in the receipt."""

    token: Annotated[str, Field(max_length=LONGEST)]


class LookUp(Body):
    """The number in the mail that confirmed the order, and the address it was sent to."""

    number: TypedNumber
    email: MailAddress


class StreamLink(BaseModel):
    """The URL of the order's event stream, for a page's `EventSource`."""

    href: str
    expires_in: Annotated[int, Field(description="Seconds within which it can be opened.")]


class LookedUp(BaseModel):
    """What a lookup shows of an order: no names and no addresses."""

    number: Number
    status: Status
    total: Money
    lines: list[Line]
    created_at: datetime
    deadline: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    reason: CancelReason | None
    short: list[ShortLine]
    decline_reason: WhyDeclined
    refunded_at: datetime | None
    action: PendingAction
    events: StreamLink
