"""How the shopper pays: with one of the sandbox's test cards, or with what she enters into Stripe's Payment
Element, which makes a token of it, so that no card number reaches the shop."""

import re

from contracts import CURRENCIES

# The sandbox's, which are Stripe's own test cards; the last one is the sandbox's alone.
CARDS = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_sandbox_captureThenTimeout",
)
_TOKEN = re.compile(r"pm_[0-9_]*[A-Za-z][A-Za-z0-9_]*")  # as order has it
_LONGEST_TOKEN = 67


def is_payment(card: str, stripe_key: str) -> bool:
    """Whether it is a payment method that the page offers. `stripe_key`: empty for the sandbox."""
    if not stripe_key:
        return card in CARDS
    return len(card) <= _LONGEST_TOKEN and _TOKEN.fullmatch(card) is not None


def stripe_amount(total: str, currency: str) -> int | None:
    """The total in Stripe's minor units, which are not the shop's for some currencies. None if it is no
    amount that can be charged."""
    known = CURRENCIES.get(currency)
    if known is None or not (total.isascii() and total.isdecimal()) or not known.can_be_charged(int(total)):
        return None
    return known.to_provider(int(total))
