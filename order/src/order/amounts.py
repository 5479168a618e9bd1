"""Which prices and totals can be charged, by what the provider takes in each currency."""

from contracts import CURRENCIES, format_amount


def objection(price: int, currency: str) -> str | None:
    """What is to be said against a price. Product takes none of these any more; older ones may be there."""
    known = CURRENCIES.get(currency)
    if known is None:
        return f"It is priced in {currency}, in which nothing can be paid."
    if price % known.step:
        step = format_amount(known.step, currency)
        return f"Its price, {format_amount(price, currency)}, cannot be charged: it is no multiple of {step}."
    return None


def charged(currency: str, limit: int) -> tuple[int, int]:
    """The least and the most that an order in this currency may come to, unless it is free."""
    known = CURRENCIES[currency]
    return known.minimum, min(known.maximum, limit)
