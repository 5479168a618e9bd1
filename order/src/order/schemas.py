"""The HTTP models of orders. They document the responses, which are built directly from rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Response
from pydantic import BaseModel, Field, TypeAdapter

from chassis.telemetry.logs import valid_traceparent
from contracts import CancelReason, Line, Money, ShortLine
from contracts.order import WhyDeclined
from order.domain import Address, Status
from order.late import LateRefund, of_json
from order.late import refunded as money_back
from order.returns import Return, ReturnState

Number = Annotated[
    str,
    Field(description="A short number for people; can be used instead of the id.", examples=["K7Q2X-9XMDA"]),
]


class Links(BaseModel):
    """Related resources."""

    self: str
    timeline: str
    events: str


class Accepted(BaseModel):
    """The checkout was accepted; the order ends paid or cancelled, at its deadline at the latest."""

    order_id: UUID
    number: Number
    status: Status
    total: Money
    links: Links


class Action(BaseModel):
    """The shopper's bank asks her to confirm the payment at `url`, before `expires_at`."""

    url: str
    expires_at: datetime


PendingAction = Annotated[
    Action | None,
    Field(description="What the shopper of a pending order has to do; shown only to her, until it expires."),
]


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


class OrderView(Accepted):
    """An order. `stock_released_at`, `voided_at` and `refunded_at` show which compensations of a cancelled
    one are done."""

    action: PendingAction
    shopper_id: Annotated[
        UUID, Field(description="The owner: who placed it, or the account that it was moved to.")
    ]
    lines: list[Line]
    shipping: Address | None
    created_at: datetime
    deadline: datetime
    paid_at: datetime | None
    fulfilled_at: Annotated[datetime | None, Field(description="When the goods were shipped.")]
    cancelled_at: datetime | None
    cancelled_by: Annotated[str | None, Field(description="`staff` if staff cancelled it.")]
    reason: CancelReason | None
    short: list[ShortLine]
    decline_reason: WhyDeclined
    stock_released_at: datetime | None
    voided_at: datetime | None
    refunded_at: datetime | None
    disputes: list[DisputeView]
    refunded: Annotated[Money, Field(description="What was refunded so far, less failed refunds.")]
    failed_refunds: list[FailedRefund]
    returns: list[ReturnView]


class OrderPage(BaseModel):
    """Newest first; `next` is the `before` of the next page, or null on the last page."""

    items: list[OrderView]
    next: str | None


class TimelineEvent(BaseModel):
    """One event of the order's saga, published by the service `said_by`; `causation_id` is the id of the
    event that led to it."""

    id: str
    type: str
    said_by: str
    time: datetime
    causation_id: str | None
    traceparent: str | None
    data: dict[str, Any]


class Timeline(BaseModel):
    """The events of the order's saga so far, by time."""

    order_id: UUID
    number: Number
    events: list[TimelineEvent]


class State(BaseModel):
    """The state of an order."""

    order_id: UUID
    number: Number
    status: Status
    reason: CancelReason | None
    action: PendingAction


def _problem(title: str, description: str, **members: dict[str, Any]) -> dict[str, Any]:
    own = {"type": "object", "properties": members, "required": list(members)}
    return {"title": title, "description": description, "allOf": [{"$ref": _PROBLEM}, own]}


_PROBLEM = "#/components/schemas/Problem"
NOT_PLACED: dict[str, Any] = {
    "description": "Conflict: `type` says which.",
    "content": {
        "application/problem+json": {
            "schema": {
                "anyOf": [
                    _problem(
                        "CartAlreadyOrdered",
                        "`/problems/cart-already-ordered`: the cart already has this order, pending or paid.",
                        order_id={"type": "string", "format": "uuid"},
                        number={"type": "string"},
                        links={"$ref": "#/components/schemas/Links"},
                    ),
                    _problem(
                        "TotalChanged",
                        "`/problems/total-changed`: the current total and lines, which are not as expected.",
                        total={"$ref": "#/components/schemas/Money"},
                        lines={"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                    ),
                    _problem(
                        "TooManyOpenPieces",
                        "`/problems/too-many-open-pieces`: too many pieces of `sku` in pending orders.",
                        sku={"type": "string"},
                    ),
                    {"$ref": _PROBLEM},
                ]
            }
        }
    },
}
"""The 409 responses to a checkout."""

STREAMED = {
    "type": "object",
    "title": "Server-Sent Event",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["timeline", "order"]},
        "data": {"type": "string", "description": "JSON: a `TimelineEvent`, or a `State`."},
        "id": {
            "type": "string",
            "description": "The events received so far; send it as `Last-Event-ID` to reconnect.",
        },
    },
}
"""The OpenAPI schema of an event in a stream."""


def dumps(value: Any) -> bytes:
    """JSON, with times in UTC; the default is for asyncpg's UUIDs."""
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)


def response(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(dumps(value), status, media_type="application/json")


def links(order_id: UUID) -> dict[str, str]:
    """See `Links`."""
    path = f"/v1/orders/{order_id}"
    return {"self": path, "timeline": f"{path}/timeline", "events": f"{path}/events"}


def order_view(row: Mapping[str, Any], action: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """See `OrderView`."""
    view: dict[str, Any] = dict(row)
    del view["action_url"], view["action_expires_at"]
    view["action"] = action
    for column in ("lines", "short", "shipping"):
        view[column] = view[column] and orjson.Fragment(view[column])
    currency = view.pop("currency")
    returns = orjson.loads(row["returns"])
    late = [of_json(one) for one in orjson.loads(view.pop("late_refunds"))]
    parts = sum(one["amount"] for one in returns if one["refunded_at"])
    refunded = money_back(row["total"], row["refunded_at"], view.pop("refunded_rest"), parts, late)
    view["total"] = {"amount": row["total"], "currency": currency}
    view["refunded"] = {"amount": refunded, "currency": currency}
    view["returns"] = [_return_view(one, currency) for one in returns]
    view["failed_refunds"] = [_failed_view(one, currency) for one in late if one.code]
    view["disputes"] = [_dispute_view(one, currency) for one in orjson.loads(row["disputes"])]
    view["links"] = links(row["order_id"])
    return view


def returns_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """See `Returns`."""
    return {"items": [_return_view(one, row["currency"]) for one in orjson.loads(row["returns"])]}


def return_view(one: Return, currency: str) -> dict[str, Any]:
    """See `ReturnView`."""
    return _return_view(_returns.dump_python(one, mode="json"), currency)


def audit_view(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """See `OrderAudit`."""
    return {"items": [{**row, "about": orjson.Fragment(row["about"])} for row in rows]}


def _failed_view(one: LateRefund, currency: str) -> dict[str, Any]:
    amount = {"amount": one.amount, "currency": currency}
    return {"refund_id": one.refund_id, "amount": amount, "code": one.code, "failed_at": one.at}


def _dispute_view(one: Mapping[str, Any], currency: str) -> dict[str, Any]:
    shown = {name: one[name] for name in ("dispute_id", "reason", "status", "due_by")}
    return {**shown, "amount": {"amount": one["amount"], "currency": currency}}


def page_view(orders: Sequence[Mapping[str, Any]], following: str | None) -> dict[str, Any]:
    """See `OrderPage`; `orders` are schemas."""
    return {"items": orders, "next": following}


def event_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """See `TimelineEvent`."""
    return {
        "id": row["event_id"],
        "type": row["type"],
        "said_by": row["said_by"],
        "time": row["time"],
        "causation_id": row["causation_id"],
        "traceparent": valid_traceparent(row["traceparent"]),
        "data": orjson.Fragment(row["data"]),
    }


_returns = TypeAdapter(Return)


def _return_view(one: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {**one, "amount": {"amount": one["amount"], "currency": currency}}
