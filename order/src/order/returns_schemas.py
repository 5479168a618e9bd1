"""The HTTP models of returns, refunds and disputes, and of what staff did to an order."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator

from chassis.http.problems import Body
from contracts import Line, Money, OneLine, Sku
from contracts.text import PATTERN as ONE_LINE
from order.returns import ReturnState

Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=ONE_LINE), OneLine
]


class ReturnLine(Body):
    """A number of pieces of one of the order's lines."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=10_000)]


Lines = Annotated[list[ReturnLine], Field(min_length=1, max_length=1000)]


class RequestReturn(Body):
    """What the shopper wants to return."""

    lines: Lines


class RejectReturn(Body):
    """Why the return is rejected; the shopper sees it."""

    reason: Reason


class SettleRefund(Body):
    """How the shopper was paid in another way."""

    reason: Reason


class RefundOrder(Body):
    """What to refund: one of `whole`, `lines` and `amount`, and why."""

    reason: Reason
    whole: Annotated[Literal[True] | None, Field(description="All that is left to refund.")] = None
    lines: Annotated[
        Lines | None, Field(description="The price of these pieces, but no more than is left.")
    ] = None
    amount: Annotated[
        int | None, Field(ge=1, le=99_999_999, description="Minor units of the order's currency.")
    ] = None
    restock: Annotated[bool, Field(description="Whether the lines are restocked.")] = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(one is not None for one in (self.whole, self.lines, self.amount)) != 1:
            raise ValueError("must have exactly one of whole, lines and amount")
        if self.restock and self.lines is None:
            raise ValueError("restock needs lines")
        return self


class FailedRefund(BaseModel):
    """A refund that failed after it was made; the shop will contact the shopper. `code` is the provider's
    reason."""

    refund_id: UUID
    amount: Money
    code: str
    failed_at: datetime


class DisputeView(BaseModel):
    """The shopper disputes the payment with her bank; `status` and `reason` are the provider's."""

    dispute_id: UUID
    amount: Money
    reason: str
    status: str
    due_by: Annotated[datetime | None, Field(description="Until when the shop can respond.")]


class ReturnView(BaseModel):
    """A return of goods, or a refund without one. `by` is `return` for a return of goods, `staff` for a
    refund by staff, and `provider` for a refund that was made at the payment provider."""

    return_id: UUID
    by: str
    state: ReturnState
    lines: list[Line]
    restock: Annotated[bool, Field(description="Whether the lines are restocked.")]
    amount: Annotated[Money, Field(description="What is refunded.")]
    requested_at: datetime
    received_at: Annotated[datetime | None, Field(description="When the goods arrived, or staff refunded.")]
    restocked_at: datetime | None
    refunded_at: datetime | None
    reason: Annotated[str | None, Field(description="Why it was rejected.")]


class Returns(BaseModel):
    """The returns and refunds of an order, the oldest first."""

    items: list[ReturnView]
    until: Annotated[
        datetime | None,
        Field(description="Until when the shopper can request a return; null unless the order is fulfilled."),
    ]


class StaffActionView(BaseModel):
    """What a member of staff did to an order."""

    action: str
    done_by: Annotated[UUID, Field(description="The staff member's account.")]
    done_at: datetime
    why: str | None
    about: Annotated[dict[str, Any], Field(description="Details, such as the return and its amount.")]


class OrderAudit(BaseModel):
    """What staff did to an order, the oldest first."""

    items: list[StaffActionView]
