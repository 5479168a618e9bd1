"""Which prices a product may have: such as the payment provider can charge, or nothing at all."""

from contracts import CURRENCIES, written


def objection(price: int, code: str | None) -> str | None:
    """What is to be said against a price in a currency; nothing where the currency itself is at fault."""
    currency = CURRENCIES.get(code or "")
    if currency is None or currency.can_be_charged(price):
        return None
    if price % currency.step:
        return f"must be a multiple of {currency.step}: {currency.code} is charged in steps of " + written(
            currency.step, currency.code
        )
    return f"must not be more than {currency.maximum}: that is all that is charged in {currency.code}"
