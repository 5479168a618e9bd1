"""Reading what the provider sends unasked: whether it is genuine, and which payment it is a hint about."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import stripe

# What our own calls come to: their answers tell it, and mostly sooner.
_ECHOES = frozenset(
    {
        "charge.captured",
        "charge.failed",
        "charge.pending",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
    }
)
# What somebody else may have done, or what turned out otherwise long afterwards.
_NEWS = frozenset(
    {
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.expired",
        "charge.refund.updated",
        "charge.refunded",
        "payment_intent.canceled",
        "refund.created",
        "refund.failed",
        "refund.updated",
    }
)
CANCELLED = "payment_intent.canceled"
TAKEN = "payment_intent.succeeded"


class Forged(Exception):
    """It does not come from the provider, it comes too late, or it makes no sense."""


@dataclass(frozen=True)
class Hint:
    """Something happened to a payment. `order_id` is what the shop has written on it; many objects carry
    nothing of that, and most of them `payment_id`. `is_news` unless it only repeats our own call's answer, as
    that a refund of the shop's was made."""

    event_id: str
    type: str
    order_id: UUID | None
    payment_id: str | None = None
    is_news: bool = False


def read(body: bytes, signature: str | None, secret: str, tolerance: int) -> Hint | None:
    """The hint in a signed event, `None` when it is none of ours. `tolerance` is seconds. Raises `Forged`."""
    try:
        # Not `construct_event`: it would build the SDK's object of all that is inside.
        stripe.WebhookSignature.verify_header(body, signature, secret, tolerance)
    except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
        raise Forged("The signature is missing, wrong or too old.") from error
    try:
        return _hint(orjson.loads(body))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Forged("It is signed, and yet it is no event.") from error


def _hint(event: Any) -> Hint | None:
    kind, event_id = event["type"] + "", str(event["id"])
    if kind not in _ECHOES | _NEWS:
        return None
    about = event["data"]["object"]
    order_id = _uuid((about.get("metadata") or {}).get("order_id", ""))
    payment = about["id"] if about.get("object") == "payment_intent" else about.get("payment_intent")
    payment_id = payment["id"] if isinstance(payment, dict) else payment
    if order_id is None and payment_id is None:
        return None
    is_news = kind in _NEWS and not (kind == "refund.created" and order_id is not None)
    return Hint(event_id, kind, order_id, payment_id, is_news)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
