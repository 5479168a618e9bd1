"""Checks and prices a cart: its lines, prices, limits, and what the shopper expects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts import Line, Money, format_amount, is_sku
from order.amounts import charged, objection

_UNKNOWN = "Unknown product, or not sold any more."


class Refused(Exception):
    """The cart cannot be ordered. `errors` names the refused lines, if it is because of lines."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class TotalOutOfRange(Refused):
    """The total is more, or less, than can be charged; all amounts in minor units."""

    def __init__(self, total: Money, minimum: int, maximum: int) -> None:
        amount, least, most = (format_amount(one, total.currency) for one in (total.amount, minimum, maximum))
        bound = f"the minimum is {least}"
        if total.amount > maximum:
            bound = f"the maximum is {most}"
        super().__init__(f"The total is {amount}; {bound}.")
        self.total = total
        self.minimum = minimum
        self.maximum = maximum


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of the shopper's cart."""

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


ANYTHING = Expected()


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
    """The checks that need no product data. Raises Refused."""
    if not wanted:
        raise Refused("The cart is empty.")
    if len(wanted) > limits.lines:
        raise Refused(f"An order can have {limits.lines} lines, the cart has {len(wanted)}.")
    if errors := [{"sku": one.sku, "detail": _UNKNOWN} for one in wanted if not is_sku(one.sku)]:
        raise Refused("Some of the products cannot be ordered.", errors)


def priced(
    wanted: Sequence[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> tuple[tuple[Line, ...], Money]:
    """The lines of an order and its total, at the current prices. Raises Refused."""
    if errors := list(_objections(wanted, offers, limits)):
        raise Refused("Some of the products cannot be ordered.", errors)
    [currency, *others] = sorted({offers[one.sku].currency for one in wanted})
    if others:
        raise Refused(f"An order has one currency, the cart has {', '.join([currency, *others])}.")
    lines = tuple(_line(one, offers[one.sku]) for one in wanted)
    total = Money(amount=sum(line.quantity * line.unit_price for line in lines), currency=currency)
    least, most = charged(currency, limits.total)
    if total.amount and not least <= total.amount <= most:
        raise TotalOutOfRange(total, least, most)
    return lines, total


def _objections(
    wanted: Iterable[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> Iterator[dict[str, str]]:
    for one in wanted:
        if one.sku not in offers:
            yield {"sku": one.sku, "detail": _UNKNOWN}
        elif not 1 <= one.quantity <= limits.quantity:
            yield {"sku": one.sku, "detail": f"The quantity must be from 1 to {limits.quantity}."}
        elif detail := objection(offers[one.sku].price, offers[one.sku].currency):
            yield {"sku": one.sku, "detail": detail}


def _line(wanted: Wanted, offer: Offer) -> Line:
    return Line(sku=offer.sku, name=offer.name, quantity=wanted.quantity, unit_price=offer.price)
