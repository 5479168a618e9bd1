"""Money on its way to the provider and back: the shop counts by ISO 4217, the provider as it always has."""

from typing import Any

from contracts import CURRENCIES, Money


def chargeable(money: Money) -> bool:
    """Whether the provider can be asked for this at all."""
    currency = CURRENCIES.get(money.currency)
    return currency is not None and currency.can_be_charged(money.amount)


def to_provider(money: Money) -> dict[str, Any]:
    """`amount` and `currency` for a form of the provider's. Raises ValueError, KeyError when it cannot be."""
    return {
        "amount": CURRENCIES[money.currency].to_provider(money.amount),
        "currency": money.currency.lower(),
    }


def from_provider(units: int, currency: str) -> Money | None:
    """What the provider names, as the shop counts; `None` when that is nothing that the shop has ever asked
    for: then it is no order's total, and no comparison may take it for one."""
    known = CURRENCIES.get(currency.upper())
    try:
        return Money(amount=known.from_provider(units), currency=known.code) if known else None
    except ValueError:
        return None
