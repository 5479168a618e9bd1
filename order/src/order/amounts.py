"""Which prices and totals can be charged, by what the provider takes in each currency."""

from contracts import CURRENCIES, format_amount


def objection(price: int, currency: str) -> str | None:
    """Why a price cannot be charged, or None. Product rejects such prices, but may still have old ones."""
    known = CURRENCIES.get(currency)
    if known is None:
        return f"Its currency, {currency}, is not supported."
    if price % known.step:
        step = format_amount(known.step, currency)
        return (
            f"Its price, {format_amount(price, currency)}, cannot be charged: it is not a multiple of {step}."
        )
    return None


def charged(currency: str, limit: int) -> tuple[int, int]:
    """The minimum and maximum total of an order in this currency, unless it is free."""
    known = CURRENCIES[currency]
    return known.minimum, min(known.maximum, limit)
