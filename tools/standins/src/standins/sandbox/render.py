"""The sandbox's state in the words of Stripe's API: PaymentIntent, Charge, Refund, Event, lists."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from standins.sandbox.cards import brand, decline_error
from standins.sandbox.intents import OPEN_DISPUTE, Dispute, Intent, Refund
from standins.sandbox.state import Change, Event

API_VERSION = "2026-10-28.endive"
Json = dict[str, Any]


def copied(names: str) -> Callable[[object], Json]:
    """Reads what is called the same here and in the document."""
    keys = names.split()
    read = attrgetter(*keys)
    return lambda one: dict(zip(keys, read(one), strict=True))


def _nothing(names: str) -> Json:
    return dict.fromkeys(names.split())


_INTENT = copied(
    "id amount canceled_at cancellation_reason capture_method created currency description metadata status"
)
_NO_INTENT = _nothing("""
    application application_fee_amount automatic_payment_methods customer on_behalf_of
    payment_method_configuration_details processing receipt_email review setup_future_usage shipping source
    statement_descriptor statement_descriptor_suffix transfer_data transfer_group
""")
_CHARGE = copied("amount created currency description metadata")
_REFUND = copied("id amount charge created currency failure_reason metadata reason status")
_NO_REFUND = _nothing("""
    balance_transaction failure_balance_transaction receipt_number source_transfer_reversal transfer_reversal
""")
_DISPUTE = copied("id amount charge created currency reason status")


def intent_json(intent: Intent, expand: Iterable[str] = (), *, disputed: bool = False) -> Json:
    charge: Json | str | None = intent.charge
    if charge and "latest_charge" in expand:
        charge = charge_json(intent, disputed=disputed)
    return {
        **_NO_INTENT,
        **_INTENT(intent),
        "object": "payment_intent",
        "amount_capturable": intent.capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.captured,
        "client_secret": intent.secret,
        "confirmation_method": "automatic",
        "last_payment_error": decline_error(intent.decline, intent.charge) if intent.decline else None,
        "latest_charge": charge,
        "livemode": False,
        "next_action": next_action(intent),
        "payment_method": payment_method(intent),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
    }


def next_action(intent: Intent) -> Json | None:
    """Where the shopper confirms; without an address to return to, it is for Stripe's own script."""
    if intent.status != "requires_action":
        return None
    if intent.return_url is None:
        script = {
            "type": "three_d_secure_redirect",
            "stripe_js": intent.action,
            "source": f"src_{intent.id[3:]}",
        }
        return {"type": "use_stripe_sdk", "use_stripe_sdk": script}
    redirect = {"return_url": intent.return_url, "url": intent.action}
    return {"type": "redirect_to_url", "redirect_to_url": redirect}


def payment_method(intent: Intent) -> str | None:
    """Stripe makes a payment method of its own out of a test card's name."""
    return f"pm_{intent.id[3:]}" if intent.card else None


def charge_json(intent: Intent, *, disputed: bool) -> Json:
    paid = intent.status in ("requires_capture", "succeeded", "canceled") and intent.card is not None
    failure = decline_error(intent.decline, None) if intent.decline else {}
    return {
        **_CHARGE(intent),
        "id": intent.charge,
        "object": "charge",
        "amount_captured": intent.captured,
        "amount_refunded": intent.refunded,
        "captured": intent.captured > 0,
        "disputed": disputed,
        "failure_code": failure.get("code"),
        "failure_message": failure.get("message"),
        "livemode": False,
        "paid": paid,
        "payment_intent": intent.id,
        "payment_method": payment_method(intent),
        "payment_method_details": {"card": {"brand": brand(intent.card)}, "type": "card"},
        "refunded": 0 < intent.captured == intent.refunded,
        "status": "succeeded" if paid else "failed",
    }


def refund_json(refund: Refund) -> Json:
    return {
        **_NO_REFUND,
        **_REFUND(refund),
        "object": "refund",
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "payment_intent": refund.intent,
    }


def dispute_json(dispute: Dispute) -> Json:
    return {
        **_DISPUTE(dispute),
        "object": "dispute",
        "balance_transactions": [],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": dispute.due_by if dispute.status in OPEN_DISPUTE else None,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": dispute.status.startswith("warning_"),
        "livemode": False,
        "metadata": {},
        "network_reason_code": None,
        "payment_intent": dispute.intent,
    }


def event_json(event: Event, change: Change) -> Json:
    return {
        "id": event.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": change.at,
        "data": {"object": _subject(event, change)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": change.request, "idempotency_key": change.key},
        "type": event.kind,
    }


def _subject(event: Event, change: Change) -> Json:
    if event.kind.startswith("charge.dispute.") and change.dispute:
        return dispute_json(change.dispute)
    if event.kind.startswith("refund.") and change.refund:
        return refund_json(change.refund)
    if event.kind.startswith("charge."):
        return charge_json(change.intent, disputed=change.dispute is not None)
    return intent_json(change.intent)


def list_json(url: str, data: list[Json], *, more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": more, "url": url}


def search_json(url: str, data: list[Json], *, more: bool) -> Json:
    return {
        "object": "search_result",
        "data": data,
        "has_more": more,
        "next_page": data[-1]["id"] if more else None,
        "total_count": None,
        "url": url,
    }
