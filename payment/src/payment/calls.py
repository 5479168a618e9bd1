"""Provider calls as they are stored before they are made: to the letter, so that a repeat is the same."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.saga.tx import Intent
from payment.domain import Call, Payment
from payment.refunds import Refund, money
from payment.units import to_provider

# Stripe forgets a key after 24 hours; a call that began just before still has to end in time.
KEY_LIFETIME = timedelta(hours=23)

PART = "refund_part"


def intent(call: Call, payment: Payment, now: datetime) -> Intent:
    """The intent to make that call. Its payload is the path, the form and until when its key is good."""
    if call == "look":
        return look(payment.order_id, str(payment.payment_id), payment.news)
    path, form = _request(call, payment)
    payload = _payload(path, form, now)
    if call == "confirm":
        assert payment.action_expires_at is not None, "who is asked to confirm has a time to do so"
        payload |= {"asked_at": now.isoformat(), "expires_at": payment.action_expires_at.isoformat()}
    return Intent(call, payment.order_id, payload)


def part(refund: Refund, payment: Payment, now: datetime) -> Intent:
    """The intent to give a part of the money back. Its payload names the order, too."""
    form = {
        "payment_intent": payment.payment_id,
        "amount": to_provider(money(payment, refund))["amount"],
        "metadata": {**_metadata(payment), "refund_id": str(refund.refund_id)},
    }
    payload = _payload("/v1/refunds", form, now)
    return Intent(PART, refund.refund_id, {**payload, "order_id": str(payment.order_id)})


def _payload(path: str, form: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"path": path, "form": form, "key_expires": (now + KEY_LIFETIME).isoformat()}


def look(order_id: UUID, payment_id: str, news: int = 0) -> Intent:
    """The intent to look a payment up, after so much was heard of it."""
    return Intent("look", order_id, {"payment_id": payment_id, "news": news})


def _request(call: Call, payment: Payment) -> tuple[str, dict[str, Any]]:
    match call:
        case "authorize":
            return "/v1/payment_intents", _authorization(payment)
        case "confirm":  # nothing is asked for: it is the shopper who confirms, and that is looked up
            return f"/v1/payment_intents/{payment.payment_id}", {}
        case "capture":
            return f"/v1/payment_intents/{payment.payment_id}/capture", {}
        case "void":
            return f"/v1/payment_intents/{payment.payment_id}/cancel", {"expand": ["latest_charge"]}
        case "look":
            raise AssertionError("nothing is asked for: what there is, is read")
        case "refund":
            # Without an amount it is all that is left, whatever somebody has refunded by hand.
            return "/v1/refunds", {"payment_intent": payment.payment_id, "metadata": _metadata(payment)}


def _authorization(payment: Payment) -> dict[str, Any]:
    assert payment.order is not None, "there is nothing to authorize before the order was heard of"
    return {
        **to_provider(payment.order.total),
        "payment_method": payment.order.payment_method,
        **_redirects(payment.order.return_url),
        "capture_method": "manual",
        "confirm": True,
        "metadata": _metadata(payment),
    }


def _redirects(return_url: str | None) -> dict[str, Any]:
    """The shopper can be sent to her bank's page if there is an address to come back to. Otherwise a card
    whose bank asks is declined, and no payment is left to wait for somebody who never comes."""
    if return_url is None:
        never = {"enabled": True, "allow_redirects": "never"}
        return {"automatic_payment_methods": never, "error_on_requires_action": True}
    always = {"enabled": True, "allow_redirects": "always"}
    return {"automatic_payment_methods": always, "return_url": return_url}


def _metadata(payment: Payment) -> dict[str, str]:
    return {"order_id": str(payment.order_id)}
