"""The sandbox's state in the words of Stripe's API: PaymentIntent, Charge, Refund, Event, lists."""

from collections.abc import Iterable
from typing import Any

from standins.sandbox.cards import brand, decline_error
from standins.sandbox.intents import OPEN_DISPUTE, Dispute, Intent, Refund
from standins.sandbox.journal import Change, Event

API_VERSION = "2026-10-28.endive"
_NOTHING = """
    application application_fee_amount customer on_behalf_of payment_method_configuration_details processing
    receipt_email review setup_future_usage shipping source statement_descriptor statement_descriptor_suffix
    transfer_data transfer_group
"""
NOTHING = dict.fromkeys(_NOTHING.split())

Json = dict[str, Any]


def intent_json(intent: Intent, expand: Iterable[str] = (), *, disputed: bool = False) -> Json:
    charge: Json | str | None = intent.charge
    if charge and "latest_charge" in expand:
        charge = charge_json(intent, disputed=disputed)
    return NOTHING | {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.captured,
        "automatic_payment_methods": None,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.secret,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "description": intent.description,
        "last_payment_error": decline_error(intent.decline, intent.charge) if intent.decline else None,
        "latest_charge": charge,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": next_action(intent),
        "payment_method": payment_method(intent),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": intent.status,
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
        "id": intent.charge,
        "object": "charge",
        "amount": intent.amount,
        "amount_captured": intent.captured,
        "amount_refunded": intent.refunded,
        "captured": intent.captured > 0,
        "created": intent.created,
        "currency": intent.currency,
        "description": intent.description,
        "disputed": disputed,
        "failure_code": failure.get("code"),
        "failure_message": failure.get("message"),
        "livemode": False,
        "metadata": intent.metadata,
        "paid": paid,
        "payment_intent": intent.id,
        "payment_method": payment_method(intent),
        "payment_method_details": {"card": {"brand": brand(intent.card)}, "type": "card"},
        "refunded": 0 < intent.captured == intent.refunded,
        "status": "succeeded" if paid else "failed",
    }


def refund_json(refund: Refund) -> Json:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": None,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "failure_balance_transaction": None,
        "failure_reason": refund.failure_reason,
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }


def dispute_json(dispute: Dispute) -> Json:
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
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
        "reason": dispute.reason,
        "status": dispute.status,
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
    disputed = change.dispute is not None
    return (
        charge_json(change.intent, disputed=disputed)
        if event.kind.startswith("charge.")
        else intent_json(change.intent)
    )


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
