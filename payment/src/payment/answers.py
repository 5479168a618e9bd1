"""Reading Stripe's objects: what their statuses mean for the call that was made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts import Money
from payment.outcomes import Authorized, Captured, Declined, Outcome, Refunded, RefundRefused, Voided
from payment.units import from_provider

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Redirect:
    """The shopper is to be sent to her bank's page at `url`."""

    payment_id: str
    url: str


Read = Outcome | Redirect | None


def held(search: Answer) -> Read:
    """The outcome of an authorization from all payments of its order: money that is held counts first, then
    what may still come to that."""
    outcomes = [_authorization(found) for found in search["data"]]
    outcomes.sort(key=lambda one: 0 if isinstance(one, Authorized) else 1 if isinstance(one, Redirect) else 2)
    return outcomes[0] if outcomes else None


def refunded(refunds: Answer, order_id: str) -> Outcome | None:
    """The outcome of a refund from all refunds of its payment. Those made by hand are none of the shop's."""
    own = [_refund(found) for found in refunds["data"] if found["metadata"].get("order_id") == order_id]
    if Refunded() in own:
        return Refunded()
    return None if None in own else next(iter(own), None)


def _authorization(intent: Answer) -> Read:
    match intent["status"]:
        case "succeeded":
            return Authorized(intent["id"], _money(intent, "amount_received"))
        case "requires_capture":
            return Authorized(intent["id"], _money(intent, "amount_capturable"))
        case "processing":
            return None
        case "canceled":
            return Declined("canceled")
        case "requires_action":
            redirect = (intent.get("next_action") or {}).get("redirect_to_url")
            if (
                redirect is None
            ):  # nobody can act: the shopper has left with a 202, and cannot be sent anywhere
                return Declined("authentication_required")
            return Redirect(intent["id"], redirect["url"])
    error = intent.get("last_payment_error") or {}
    return Declined(error.get("decline_code") or error.get("code") or "declined")


def _money(intent: Answer, amount: str) -> Money | None:
    return from_provider(intent[amount], intent["currency"])


def _confirmation(intent: Answer) -> Read:
    return None if intent["status"] == "requires_action" else _authorization(intent)


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
            return Voided(held=_was_held(intent.get("latest_charge")))
        case "succeeded":
            return Captured(_money(intent, "amount_received"))
    return None


def _was_held(charge: Answer | str | None) -> bool:
    """Without a charge there was no authorization. One of which only the id is shown stands for money that
    was held: the release before did not ask for more."""
    return charge is not None and (isinstance(charge, str) or charge["status"] == "succeeded")


def _refund(refund: Answer) -> Outcome | None:
    match refund["status"]:
        case "succeeded":
            return Refunded()
        case "failed" | "canceled":
            return RefundRefused(refund.get("failure_reason") or refund["status"])
    return None


READ: Mapping[str, Callable[[Answer], Read]] = {
    "authorize": _authorization,
    "confirm": _confirmation,
    "capture": _capture,
    "void": _void,
    "refund": _refund,
}
"""For each kind of call, what its answer (or the object as it is now) says; `None`: not decided yet."""
