"""Reading Stripe's objects: what their statuses mean for the call that was made."""

from collections.abc import Callable, Mapping
from typing import Any

from contracts import Money
from payment.outcomes import Authorized, Captured, Declined, Outcome, Refunded, RefundRefused, Voided
from payment.units import from_provider

Answer = Mapping[str, Any]


def held(search: Answer) -> Outcome | None:
    """The outcome of an authorization from all payments of its order: money that is held counts first."""
    outcomes = [_authorization(found) for found in search["data"]]
    outcomes.sort(key=lambda outcome: not isinstance(outcome, Authorized))
    return outcomes[0] if outcomes else None


def refunded(refunds: Answer, order_id: str) -> Outcome | None:
    """The outcome of a refund from all refunds of its payment. Those made by hand are none of the shop's."""
    own = [_refund(found) for found in refunds["data"] if found["metadata"].get("order_id") == order_id]
    if Refunded() in own:
        return Refunded()
    return None if None in own else next(iter(own), None)


def _authorization(intent: Answer) -> Outcome | None:
    match intent["status"]:
        case "succeeded":
            return Authorized(intent["id"], _money(intent, "amount_received"))
        case "requires_capture":
            return Authorized(intent["id"], _money(intent, "amount_capturable"))
        case "processing":
            return None
        case "canceled":
            return Declined("canceled")
        case "requires_action":  # and nobody is there to act: the shopper has left with a 202
            return Declined("authentication_required")
    error = intent.get("last_payment_error") or {}
    return Declined(error.get("decline_code") or error.get("code") or "declined")


def _money(intent: Answer, amount: str) -> Money | None:
    return from_provider(intent[amount], intent["currency"])


def _capture(intent: Answer) -> Outcome | None:
    match intent["status"]:
        case "succeeded":
            return Captured(_money(intent, "amount_received"))
        case "canceled":
            return Declined("canceled")
    return None


def _void(intent: Answer) -> Outcome | None:
    match intent["status"]:
        case "canceled":
            return Voided()
        case "succeeded":
            return Captured(_money(intent, "amount_received"))
    return None


def _refund(refund: Answer) -> Outcome | None:
    match refund["status"]:
        case "succeeded":
            return Refunded()
        case "failed" | "canceled":
            return RefundRefused(refund.get("failure_reason") or refund["status"])
    return None


READ: Mapping[str, Callable[[Answer], Outcome | None]] = {
    "authorize": _authorization,
    "capture": _capture,
    "void": _void,
    "refund": _refund,
}
"""For each kind of call, what its answer (or the object as it is now) says; `None`: not decided yet."""
