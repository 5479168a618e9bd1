"""Why a payment was declined, as mails say it: the bank is named only where it was the bank."""

from collections.abc import Mapping

from contracts import DeclineReason

SENTENCES: Mapping[DeclineReason, str] = {
    "bank_declined": "Your bank declined the payment. It does not tell us why; it can tell you.",
    "insufficient_funds": "Your bank declined the payment: there was not enough money for it.",
    "card_expired": "The payment was declined because the card has expired.",
    "card_details": "The payment was declined because one of the card's details was not right: its number, "
    "expiry date, security code or postcode.",
    "card_not_supported": "This card cannot be used for this payment.",
    "not_confirmed": "Your bank asked for a confirmation of the payment, and it was not confirmed.",
    "payment_method_unusable": "The payment details had expired, or were used before: they count only once.",
    "amount": "This amount cannot be charged to a card: it is too small or too large.",
    "try_again": "The payment could not be processed at that moment. It may work if you order again.",
    "not_completed": "The payment could not be completed. Your bank has not declined it.",
}
_UNKNOWN = "The payment was declined."


def why_declined(reason: str | None) -> str:
    """The sentence for a reason; a plain one for a reason that this release does not know, and for none."""
    return next((sentence for known, sentence in SENTENCES.items() if known == reason), _UNKNOWN)
