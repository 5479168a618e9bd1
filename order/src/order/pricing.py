"""Checks and prices a cart: its lines, prices, limits, and what the shopper expects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts import CURRENCIES, Line, Money, format_amount, is_sku
from order.errors import NotOrderable, TotalOutOfRange

_UNKNOWN = "Unknown product, or not sold any more."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the shopper wants of a product: a line of her cart, or the pieces of a line to return."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Cart:
    """The shopper's cart as it was read. `ids` identify it: each can have only one order, apart from those in
    `bought`, whose lines were removed from the cart. A cart of the previous release has no ids."""

    lines: Sequence[Wanted]
    ids: tuple[UUID, ...] = ()
    bought: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the page showed the shopper: the total, and the quantities by sku; `None` if it was not sent."""

    total: Money | None = None
    lines: Mapping[str, int] | None = None

    def allows(self, lines: Iterable[Line], total: Money) -> bool:
        """Whether the order is as expected: the same lines, for at most the same total."""
        if self.lines is not None and self.lines != {line.sku: line.quantity for line in lines}:
            return False
        if self.total is None:
            return True
        return total.currency == self.total.currency and total.amount <= self.total.amount


@dataclass(frozen=True, slots=True)
class Offer:
    """A product with its current price."""

    sku: str
    name: str
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest order that is accepted; `total` is in minor units, and the provider's limit may be
    lower."""

    lines: int = 1000
    quantity: int = 10_000
    total: int = 99_999_999


def orderable(wanted: Sequence[Wanted], limits: Limits) -> None:
    """The checks that need no product data. Raises NotOrderable."""
    if not wanted:
        raise NotOrderable("The cart is empty.")
    if len(wanted) > limits.lines:
        raise NotOrderable(f"An order can have {limits.lines} lines, the cart has {len(wanted)}.")
    if errors := [{"sku": one.sku, "detail": _UNKNOWN} for one in wanted if not is_sku(one.sku)]:
        raise NotOrderable("Some of the products cannot be ordered.", errors)


def priced(
    wanted: Sequence[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> tuple[tuple[Line, ...], Money]:
    """The lines of an order and its total, at the current prices. Raises NotOrderable."""
    if errors := list(_objections(wanted, offers, limits)):
        raise NotOrderable("Some of the products cannot be ordered.", errors)
    [currency, *others] = sorted({offers[one.sku].currency for one in wanted})
    if others:
        raise NotOrderable(f"An order has one currency, the cart has {', '.join([currency, *others])}.")
    lines = tuple(
        Line(sku=one.sku, name=offers[one.sku].name, quantity=one.quantity, unit_price=offers[one.sku].price)
        for one in wanted
    )
    total = Money(amount=sum(line.quantity * line.unit_price for line in lines), currency=currency)
    minimum, maximum = CURRENCIES[currency].minimum, min(CURRENCIES[currency].maximum, limits.total)
    if total.amount and not minimum <= total.amount <= maximum:
        raise TotalOutOfRange(total, minimum, maximum)
    return lines, total


def _objections(
    wanted: Iterable[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> Iterator[dict[str, str]]:
    for one in wanted:
        if one.sku not in offers:
            yield {"sku": one.sku, "detail": _UNKNOWN}
        elif not 1 <= one.quantity <= limits.quantity:
            yield {"sku": one.sku, "detail": f"The quantity must be from 1 to {limits.quantity}."}
        elif detail := _price_objection(offers[one.sku].price, offers[one.sku].currency):
            yield {"sku": one.sku, "detail": detail}


def _price_objection(price: int, currency: str) -> str | None:
    """Why a price cannot be charged, or None. Product rejects such prices, but may still have old ones."""
    known = CURRENCIES.get(currency)
    if known is None:
        return f"Its currency, {currency}, is not supported."
    if price % known.step:
        shown, step = format_amount(price, currency), format_amount(known.step, currency)
        return f"Its price, {shown}, cannot be charged: it is not a multiple of {step}."
    return None
