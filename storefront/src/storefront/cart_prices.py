"""What products cost when they were put into the cart. Cart keeps quantities only, so the session keeps these
prices, of as many lines as a cookie has room for."""

from storefront.api import Json
from storefront.session import Session

MOST = 24


def remember(session: Session, sku: str, price: str, currency: str) -> None:
    """The price that the product's page showed. What is no price is not remembered."""
    if price.isascii() and price.isdecimal() and len(price) < 10 and len(currency) == 3:
        _set(session, {**session.prices, sku: f"{price} {currency}"})


def changed(session: Session, cart: Json) -> dict[str, Json]:
    """The prices before of those lines that cost something else now: `amount` and `currency`. What is not in
    the cart any more is forgotten; a line that was not seen before has the price of now."""
    if cart["degraded"]:
        return {}
    now = {
        one["sku"]: f"{one['price']} {one['currency']}" for one in cart["items"] if one["price"] is not None
    }
    known = {sku: price for sku, price in session.prices.items() if sku in now}
    _set(session, known | {sku: price for sku, price in now.items() if sku not in known})
    return {sku: _parsed(price) for sku, price in session.prices.items() if price != now[sku]}


def _set(session: Session, prices: dict[str, str]) -> None:
    session.prices = dict([*prices.items()][:MOST])


def _parsed(price: str) -> Json:
    amount, currency = price.split()
    return {"amount": int(amount), "currency": currency}
