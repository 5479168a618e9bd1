"""Orders as JSON: the responses that `schemas` documents, built directly from rows, and their OpenAPI
documents where FastAPI cannot derive them."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any
from uuid import UUID

import orjson
from fastapi import Response
from pydantic import TypeAdapter

from chassis.telemetry.logs import valid_traceparent
from order import returns
from order.domain import Address, Order
from order.returns import LateRefund, Return, ReturnPeriod


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
        "data": {
            "type": "string",
            "description": "JSON: a `TimelineEvent`, or `order_id`, `number`, `status`, `reason`, `action`.",
        },
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


def accepted(order: Order) -> tuple[bytes, dict[str, str]]:
    """See `Accepted`: the body and the headers of the response to a checkout."""
    related = links(order.order_id)
    body = {
        "order_id": order.order_id,
        "number": order.number,
        "status": order.status,
        "total": _money(order.total, order.currency),
        "links": related,
    }
    return dumps(body), {"Location": related["self"], "Content-Type": "application/json"}


def order_view(row: Mapping[str, Any], action: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """See `OrderView`."""
    view: dict[str, Any] = dict(row)
    del view["action_url"], view["action_expires_at"]
    for column in ("lines", "short"):
        view[column] = view[column] and orjson.Fragment(view[column])
    if row["shipping"]:
        view["shipping"] = {**_OPTIONAL_PARTS, **orjson.loads(row["shipping"])}
    currency = view.pop("currency")
    all_returns = orjson.loads(row["returns"])
    late = [LateRefund.of_json(one) for one in orjson.loads(view.pop("late_refunds"))]
    parts = sum(one["amount"] for one in all_returns if one["refunded_at"])
    refunded = returns.refunded(row["total"], row["refunded_at"], view.pop("refunded_rest"), parts, late)
    return view | {
        "action": action,
        "total": _money(row["total"], currency),
        "refunded": _money(refunded, currency),
        "returns": [_with_money(one, currency) for one in all_returns],
        "failed_refunds": [
            {
                "refund_id": one.refund_id,
                "amount": _money(one.amount, currency),
                "code": one.code,
                "failed_at": one.at,
            }
            for one in late
            if one.code
        ],
        "disputes": [
            {name: dispute[name] for name in ("dispute_id", "amount", "reason", "status", "due_by")}
            for dispute in (_with_money(one, currency) for one in orjson.loads(row["disputes"]))
        ],
        "links": links(row["order_id"]),
    }


# Addresses that the previous release stored have none of them.
_OPTIONAL_PARTS = {part.name: part.default for part in fields(Address) if part.default is not MISSING}


def event_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """See `TimelineEvent`."""
    names = ("type", "said_by", "time", "causation_id")
    return {
        "id": row["event_id"],
        **{name: row[name] for name in names},
        "traceparent": valid_traceparent(row["traceparent"]),
        "data": orjson.Fragment(row["data"]),
    }


def returns_view(row: Mapping[str, Any], period: ReturnPeriod) -> dict[str, Any]:
    """See `Returns`."""
    items = [_with_money(one, row["currency"]) for one in orjson.loads(row["returns"])]
    return {"items": items, "until": row["fulfilled_at"] and row["fulfilled_at"] + period}


def return_view(one: Return, currency: str) -> dict[str, Any]:
    """See `ReturnView`."""
    return _with_money(_return.dump_python(one, mode="json"), currency)


_return = TypeAdapter(Return)


def _money(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def _with_money(one: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {**one, "amount": _money(one["amount"], currency)}
