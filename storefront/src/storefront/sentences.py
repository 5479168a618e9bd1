"""What the API's states, events and problems are called on the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from storefront.api import Json, Refused
from storefront.locales import Language


@dataclass(frozen=True)
class Step:
    """A step of an order; `time` is when it was taken, None if it is still to come."""

    text: str
    time: str | None
    is_bad: bool = False


_BAD = ("stock.rejected", "payment.declined", "order.cancelled", "payment.refund_failed")
# The way of an order that nothing stops.
_AHEAD = ("stock.reserved", "payment.authorized", "order.paid")


def timeline(language: Language, order: Json, events: Sequence[Json]) -> list[Step]:
    """The steps that were taken, and while the order is pending those that are to come."""
    texts = _event_texts(language)
    taken = [
        Step(texts[event["type"]], event["time"], event["type"] in _BAD)
        for event in events
        if event["type"] in texts
    ]
    if order["status"] != "pending":
        return taken
    done = {event["type"] for event in events}
    ahead = _texts_ahead(language)
    return taken + [Step(ahead[kind], None) for kind in _AHEAD if kind not in done]


def order_state(language: Language, order: Json) -> str:
    """How the order is, in a sentence."""
    _ = language._
    match order["status"], order["reason"]:
        case "pending", _reason if order["action"]:
            return _("Your bank asks you to confirm the payment.")
        case "pending", _reason:
            return _("Your order is being processed. This takes a few seconds.")
        case "paid", _reason if order["fulfilled_at"]:
            return _("Your order is paid and was shipped.")
        case "paid", _reason:
            return _("Your order is paid. The receipt is on its way to you by e-mail.")
        case _status, "out_of_stock":
            return _("Cancelled: not everything was in stock any more. You were not charged.")
        case _status, "payment_declined":
            return _("Cancelled: the payment was declined.") + " " + _decline(language, order)
        case _status, "expired":
            return _("Cancelled: it was not paid in time. You were not charged.")
        case _status, _reason if order["cancelled_by"] == "staff":
            return _("Cancelled by the shop.")
    return _("Cancelled, as you asked.")


def checkout_refusal(language: Language, refused: Refused) -> str:
    """Why the order was not placed, and what to do."""
    _ = language._
    match refused.type.removeprefix("/problems/"):
        case "total-changed":
            return _("Your cart or a price has changed. Check the order once more, then place it.")
        case "idempotency-key-in-use" | "idempotency-claim-lost" | "place-again":
            return _("Your order is being placed. Wait a moment, then press the button once more.")
        case "idempotency-key-reused":
            return _("The form was sent before with other entries. Check the order, then place it.")
        case "too-many-open-orders":
            return _("You have many open orders. Wait until they are paid, or cancel one, then try again.")
        case "too-many-open-pieces":
            return _("As a guest you have very many pieces of a product in open orders. Order fewer.")
        case "too-many-declined":
            return _("Many payments were declined. For your card's safety, try again in some minutes.")
        case "total-not-chargeable":
            return _("This total cannot be charged: it is too small or too large. Change the cart.")
    if refused.status == 429:
        return _("The shop has many orders at this moment. Wait a minute, then press the button once more.")
    if refused.status >= 500:
        return _("The shop does not answer. Press the button once more: the order is placed only once.")
    return _("The order was not accepted. Check your entries, then place it.")


def _event_texts(language: Language) -> dict[str, str]:
    _ = language._
    return {
        "order.created": _("We have received your order."),
        "stock.reserved": _("Everything is in stock and put aside for you."),
        "stock.rejected": _("Something is not in stock any more."),
        "payment.action_required": _("Your bank asked you to confirm the payment."),
        "payment.authorized": _("Your bank has approved the payment."),
        "payment.declined": _("The payment was declined."),
        "payment.voided": _("Your bank no longer holds the money for us."),
        "order.paid": _("Your order is paid."),
        "order.fulfilled": _("Your order was shipped."),
        "order.cancelled": _("The order was cancelled."),
        "order.returned": _("Your return was accepted."),
        "stock.released": _("The goods are back on the shelf."),
        "stock.returned": _("The returned goods are back on the shelf."),
        "payment.refunded": _("Your money is on its way back to you."),
        "payment.refunded_in_part": _("A part of your money is on its way back to you."),
        "payment.refund_failed": _("A refund did not reach you: we are looking into it."),
    }


def _texts_ahead(language: Language) -> dict[str, str]:
    _ = language._
    return {
        "stock.reserved": _("Putting the goods aside"),
        "payment.authorized": _("Asking your bank"),
        "order.paid": _("Paid"),
    }


def _decline(language: Language, order: Json) -> str:
    _ = language._
    texts = {
        "insufficient_funds": _("There was not enough money on the account. Try another card."),
        "card_expired": _("The card has expired. Try another card."),
        "card_details": _("Check the card's details, or try another card."),
        "card_not_supported": _("The card cannot be used here. Try another card."),
        "not_confirmed": _("It was not confirmed with your bank in time. Order again if you like."),
        "try_again": _("That may pass: try again in a moment."),
    }
    return texts.get(order["decline_reason"] or "", _("Your bank did not say why. Try another card."))
