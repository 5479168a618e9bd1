"""Amounts in the provider's units: the shop's minor units are those of ISO 4217, the provider's differ for
some currencies."""

from typing import Any

from contracts import CURRENCIES, Money


def chargeable(money: Money) -> bool:
    """Whether the provider accepts this currency and amount."""
    currency = CURRENCIES.get(money.currency)
    return currency is not None and currency.can_be_charged(money.amount)


def to_provider(money: Money) -> dict[str, Any]:
    """`amount` and `currency` of a request. Raises ValueError or KeyError if the amount cannot be
    converted."""
    return {
        "amount": CURRENCIES[money.currency].to_provider(money.amount),
        "currency": money.currency.lower(),
    }


def from_provider(units: int, currency: str) -> Money | None:
    """The provider's amount in the shop's units. `None` if the shop cannot have requested it: such an amount
    equals no order's total."""
    known = CURRENCIES.get(currency.upper())
    try:
        return Money(amount=known.from_provider(units), currency=known.code) if known else None
    except ValueError:
        return None
