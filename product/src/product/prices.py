"""Which prices a product may have: those that the payment provider can charge, or 0."""

from contracts import CURRENCIES, format_amount


def price_problem(price: int, code: str | None) -> str | None:
    """Why a price cannot be charged in a currency, or None; an unknown currency is reported by its own
    field."""
    currency = CURRENCIES.get(code or "")
    if currency is None or currency.can_be_charged(price):
        return None
    if price % currency.step:
        return (
            f"must be a multiple of {currency.step}: {currency.code} is charged in steps of "
            + format_amount(currency.step, currency.code)
        )
    return f"must not be more than {currency.maximum}: the maximum that can be charged in {currency.code}"
