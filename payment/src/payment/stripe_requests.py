"""The requests of provider calls, written down in intents before they are made, so that a repeat is
identical.

The SDK is not imported here: steps write intents, and only the client makes calls.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chassis.saga.tx import Intent
from contracts import CURRENCIES, Money
from payment.domain import Call, Payment
from payment.refunds import Refund, amount_of

# Stripe forgets a key after 24 hours; a call that began just before still has to end in time.
KEY_LIFETIME = timedelta(hours=23)

REFUND_PART = "refund_part"
LOOKUP = "look"
LIST = "list"

_PAGES = UUID("80ff9dd5-328a-4f2b-bb8e-fa551f815910")


def call_intent(call: Call, payment: Payment, now: datetime) -> Intent:
    """The intent of that call. Its payload is the path, the form and until when its key is valid."""
    if call == LOOKUP:
        return lookup_intent(payment.order_id, str(payment.payment_id), payment.news)
    path, form = _request(call, payment)
    payload = _payload(path, form, now)
    if call == "confirm":
        assert payment.action_expires_at is not None, "a payment that waits for confirmation expires"
        payload |= {"asked_at": now.isoformat(), "expires_at": payment.action_expires_at.isoformat()}
    return Intent(call, payment.order_id, payload)


def part_intent(refund: Refund, payment: Payment, now: datetime) -> Intent:
    """The intent to refund a part of the money. Its payload also names the order."""
    form = {
        "payment_intent": payment.payment_id,
        "amount": to_provider(amount_of(payment, refund))["amount"],
        "metadata": {**_metadata(payment), "refund_id": str(refund.refund_id)},
    }
    payload = _payload("/v1/refunds", form, now)
    return Intent(REFUND_PART, refund.refund_id, {**payload, "order_id": str(payment.order_id)})


def lookup_intent(order_id: UUID, payment_id: str, news: int = 0) -> Intent:
    """The intent to look a payment up; `news` is how many notices of changes have been received by now."""
    return Intent(LOOKUP, order_id, {"payment_id": payment_id, "news": news})


def page_intent(name: str, since: int, after: str | None = None) -> Intent:
    """The intent to read a page of that list: what was created since then, in seconds since 1970."""
    return Intent(
        LIST, uuid5(_PAGES, f"{name} {after or ''}"), {"list": name, "since": since, "after": after}
    )


def _payload(path: str, form: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"path": path, "form": form, "key_expires": (now + KEY_LIFETIME).isoformat()}


def _request(call: Call, payment: Payment) -> tuple[str, dict[str, Any]]:
    match call:
        case "authorize":
            return "/v1/payment_intents", _authorization(payment)
        case "confirm":  # the shopper confirms, and the payment is looked up
            return f"/v1/payment_intents/{payment.payment_id}", {}
        case "capture":
            return f"/v1/payment_intents/{payment.payment_id}/capture", {}
        case "void":
            return f"/v1/payment_intents/{payment.payment_id}/cancel", {"expand": ["latest_charge"]}
        case "look":
            raise AssertionError("a lookup has no form")
        case "refund":
            # Without an amount Stripe refunds all that is left, whatever somebody has refunded by hand.
            return "/v1/refunds", {"payment_intent": payment.payment_id, "metadata": _metadata(payment)}


def _authorization(payment: Payment) -> dict[str, Any]:
    assert payment.order is not None, "only a payment whose order was created is authorized"
    return {
        **to_provider(payment.order.total),
        "payment_method": payment.order.payment_method,
        **_redirects(payment.order.return_url),
        "capture_method": "manual",
        "confirm": True,
        "metadata": _metadata(payment),
    }


def _redirects(return_url: str | None) -> dict[str, Any]:
    """Without an address to return to the shopper cannot be redirected to her bank, and a card whose bank
    requires that is declined: otherwise the payment would wait for a confirmation that cannot come."""
    if return_url is None:
        never = {"enabled": True, "allow_redirects": "never"}
        return {"automatic_payment_methods": never, "error_on_requires_action": True}
    always = {"enabled": True, "allow_redirects": "always"}
    return {"automatic_payment_methods": always, "return_url": return_url}


def _metadata(payment: Payment) -> dict[str, str]:
    return {"order_id": str(payment.order_id)}


def to_provider(money: Money) -> dict[str, Any]:
    """`amount` and `currency` of a request. Raises ValueError or KeyError if the amount cannot be
    converted."""
    return {
        "amount": CURRENCIES[money.currency].to_provider(money.amount),
        "currency": money.currency.lower(),
    }
