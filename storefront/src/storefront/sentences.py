"""What the API's states, events and problems are called on the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from storefront.api import Json, Refused
from storefront.locales import Language
from storefront.returning import is_return_under_way


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
    by_staff = language._("The shop gives you money back.")
    taken = [
        Step(by_staff if _is_by_staff(event) else texts[event["type"]], event["time"], event["type"] in _BAD)
        for event in events
        if event["type"] in texts
    ]
    if order["status"] != "pending":
        return taken
    done = {event["type"] for event in events}
    ahead = _texts_ahead(language)
    return taken + [Step(ahead[kind], None) for kind in _AHEAD if kind not in done]


def _is_by_staff(event: Json) -> bool:
    """Whether it is a refund by staff, for which nothing came back."""
    return event["type"] == "order.returned" and bool(event["data"].get("by") == "staff")


def order_state(language: Language, order: Json) -> str:
    """How the order is, in a sentence or two."""
    _ = language._
    total, refunded = order["total"]["amount"], order["refunded"]["amount"]
    match order["status"]:
        case "pending" if order["action"]:
            return _("Your bank asks you to confirm the payment.")
        case "pending":
            return _("Your order is being processed. This takes a few seconds.")
        case "cancelled":
            return f"{_reason(language, order)} {_money_of_cancelled(language, order)}".strip()
    if refunded and refunded >= total:
        return _("Your order was refunded in full.")
    if refunded:
        return _("Your order is paid, and a part of the money was sent back to you.")
    if is_return_under_way(order):
        return _("Your order was shipped. The shop waits for what you return.")
    if order["fulfilled_at"]:
        return _("Your order is paid and was shipped.")
    return _("Your order is paid. The receipt is on its way to you by e-mail.")


def short_state(language: Language, order: Json) -> str:
    """How the order is, in a word or two."""
    _ = language._
    refunded = order["refunded"]["amount"]
    match order["status"]:
        case "pending":
            return _("Confirm with your bank") if order["action"] else _("Being processed")
        case "cancelled":
            return _("Cancelled, refunded") if refunded else _("Cancelled")
    if refunded:
        return _("Refunded") if refunded >= order["total"]["amount"] else _("Partly refunded")
    if is_return_under_way(order):
        return _("Being returned")
    return _("Shipped") if order["fulfilled_at"] else _("Paid")


def _reason(language: Language, order: Json) -> str:
    """Why the order was cancelled."""
    _ = language._
    match order["reason"]:
        case "out_of_stock":
            return _("Cancelled: not everything was in stock any more.")
        case "payment_declined":
            return _("Cancelled: the payment was declined.") + " " + _decline(language, order)
        case "expired":
            return _("Cancelled: it was not paid in time.")
    return _("Cancelled by the shop.") if order["cancelled_by"] == "staff" else _("Cancelled, as you asked.")


def _money_of_cancelled(language: Language, order: Json) -> str:
    """What becomes of the money of a cancelled order."""
    _ = language._
    if order["reason"] == "payment_declined" or not order["total"]["amount"]:
        return ""
    if not order["paid_at"]:
        return _("You were not charged.")
    if order["refunded_at"]:
        return _("Your money was sent back to you.")
    return _("Your money is on its way back to you.")


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


def address_refusal(language: Language, refused: Refused) -> str:
    """Why an address was not saved, and what to do."""
    _ = language._
    if refused.type == "/problems/address-book-full":
        return _("Your address book is full. Remove an address to add another one.")
    if refused.status == 429:
        return _("The shop has many visitors at this moment. Wait a minute, then save the address once more.")
    if refused.status >= 500:
        return _("The shop does not answer at this moment. Save the address once more.")
    return _("That was not accepted. Check your entries.")


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
        "order.returned": _("Your return has arrived."),
        "stock.released": _("The goods are back on the shelf."),
        "stock.returned": _("The returned goods are back on the shelf."),
        "payment.refunded": _("Your money is on its way back to you."),
        "payment.refunded_in_part": _("A part of your money is on its way back to you."),
        "payment.refund_failed": _("A refund did not reach you: we are looking into it."),
        "order.refund_settled": _("We have paid you in another way."),
        "payment.disputed": _("There is news of your dispute with your bank."),
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
