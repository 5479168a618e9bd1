"""Reading Stripe's objects: what their statuses mean for the call that was made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts import Money
from payment.outcomes import (
    Authorized,
    Captured,
    Declined,
    Outcome,
    PartRefunded,
    Refunded,
    RefundRefused,
    Voided,
)
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


def refunded(refunds: Iterable[Answer], order_id: str) -> Outcome | None:
    """The outcome of a refund of all that is left, from all refunds of its payment. Those of parts have an id
    of their own, and those made by hand are none of the shop's."""
    notes = {"order_id": order_id, "refund_id": None}
    own = [_refund(found) for found in refunds if _has(found, notes)]
    own.sort(key=lambda outcome: 0 if isinstance(outcome, Refunded) else 1 if outcome is None else 2)
    return next(iter(own), None)


def of_part(refunds: Iterable[Answer], refund_id: str) -> Answer | None:
    """The refund of that part, from all refunds of its payment: one that was made, rather than one that
    failed."""
    own = [found for found in refunds if _has(found, {"refund_id": refund_id})]
    own.sort(key=lambda found: isinstance(refund_part(found), RefundRefused))
    return next(iter(own), None)


def _has(refund: Answer, notes: Mapping[str, str | None]) -> bool:
    return all((refund["metadata"] or {}).get(name) == value for name, value in notes.items())


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
            if redirect is None:  # the shopper has left with a 202, and there is no page to send her to
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
            return Refunded(_money(refund, "amount"))
        case "failed" | "canceled":
            return RefundRefused(refund.get("failure_reason") or refund["status"])
    return None


def refund_part(refund: Answer) -> Outcome | None:
    """The outcome of a part, from its refund."""
    outcome = _refund(refund)
    return PartRefunded(outcome.amount) if isinstance(outcome, Refunded) else outcome


READ: Mapping[str, Callable[[Answer], Read]] = {
    "authorize": _authorization,
    "confirm": _confirmation,
    "capture": _capture,
    "void": _void,
    "refund": _refund,
    "refund_part": refund_part,
}
"""For each kind of call, what its answer (or the object as it is now) says; `None`: not decided yet."""
