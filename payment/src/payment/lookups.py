"""Looking at what Stripe has: one payment with its refunds and disputes, or a page of all that there are."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contracts import Money
from payment.found import Found, FoundDispute, FoundRefund, Page
from payment.units import from_provider

Json = Mapping[str, Any]
Get = Callable[..., Awaitable[Json]]

PAGE = 100
MOST_PAGES = 10  # of one payment: more refunds than anybody makes


async def payment(get: Get, payment_id: str) -> Found:
    """The payment as it is at this moment: three requests at most, one where nothing was taken."""
    intent = await get(f"/v1/payment_intents/{payment_id}")
    if not intent["amount_received"]:
        # What is let go unused is booked as a refund, too: of money that was never taken.
        return found(intent)
    refunds = await everything(get, "/v1/refunds", payment_intent=payment_id)
    disputes = await everything(get, "/v1/disputes", payment_intent=payment_id)
    return found(intent, refunds, disputes)


async def page(get: Get, name: str, since: int, after: str | None) -> Page:
    """What was created since that moment, in seconds since 1970, of payments, refunds or disputes."""
    query: dict[str, Any] = {"created": {"gte": since}, "limit": PAGE}
    if after is not None:
        query["starting_after"] = after
    if name == "payment_intents":
        query["expand"] = ["data.latest_charge"]
    listed = await get(f"/v1/{name}", **query)
    items = tuple(_READ[name](one) for one in listed["data"])
    return Page(name, items, listed["data"][-1]["id"] if listed["has_more"] else None)


async def everything(get: Get, path: str, **query: str) -> Sequence[Json]:
    """All pages of a list."""
    listed: list[Json] = []
    after: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        page = await get(path, limit=PAGE, **query, **after)
        listed += page["data"]
        if not page["has_more"]:
            break
        after = {"starting_after": listed[-1]["id"]}
    return listed


def found(intent: Json, refunds: Sequence[Json] = (), disputes: Sequence[Json] = ()) -> Found:
    """What Stripe's objects say."""
    return Found(
        intent["id"],
        intent["status"],
        _money(intent, "amount_capturable"),
        _money(intent, "amount_received"),
        (intent["metadata"] or {}).get("order_id"),
        tuple(refund(one) for one in refunds),
        tuple(dispute(one) for one in disputes),
        _left(intent),
        intent["currency"].upper(),
        datetime.fromtimestamp(intent["created"], UTC),
    )


def _left(intent: Json) -> int:
    charge = intent.get("latest_charge")
    back = charge["amount_refunded"] if isinstance(charge, Mapping) else 0
    taken: int = intent["amount_received"]
    return int(intent["amount_capturable"]) + max(0, taken - back if taken else 0)


def refund(one: Json) -> FoundRefund:
    """A refund object."""
    notes = one["metadata"] or {}
    return FoundRefund(
        one["id"],
        _id(one["payment_intent"]),
        _money(one, "amount"),
        one["status"],
        one.get("failure_reason"),
        notes.get("order_id"),
        notes.get("refund_id"),
    )


def dispute(one: Json) -> FoundDispute:
    """A dispute object."""
    due_by = (one.get("evidence_details") or {}).get("due_by")
    return FoundDispute(
        one["id"],
        _id(one["payment_intent"]),
        _money(one, "amount"),
        one["reason"],
        one["status"],
        datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


def _id(reference: Any) -> str:
    """Stripe shows an object in place of its id where somebody has asked for that."""
    return str(reference["id"] if isinstance(reference, Mapping) else reference or "")


def _money(one: Json, name: str) -> Money | None:
    return from_provider(one[name], one["currency"])


_READ: Mapping[str, Callable[[Json], Found | FoundRefund | FoundDispute]] = {
    "payment_intents": found,
    "refunds": refund,
    "disputes": dispute,
}
