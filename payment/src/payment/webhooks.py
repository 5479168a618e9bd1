"""Reading what the provider sends unasked: whether it is genuine, and which order it hints at."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import stripe

_ABOUT_PAYMENTS = ("payment_intent.", "charge.", "refund.")


class Forged(Exception):
    """It does not come from the provider, it comes too late, or it makes no sense."""


@dataclass(frozen=True)
class Hint:
    """Something happened to an order's payment."""

    event_id: str
    order_id: UUID


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
    if not event["type"].startswith(_ABOUT_PAYMENTS):
        return None
    order_id = (event["data"]["object"].get("metadata") or {}).get("order_id", "")
    try:
        return Hint(str(event["id"]), UUID(order_id))
    except ValueError:
        return None
