"""What of a cart can be ordered, and what it comes to: lines, prices, limits, what the shopper has seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts import Line, Money, format_amount, is_sku
from order.amounts import charged, objection

_UNKNOWN = "There is no such product, or it is sold no more."


class Refused(Exception):
    """No order comes of this cart; `errors` names each line, or the one reason, that stands against it."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class NotCharged(Refused):
    """The order would come to more, or to less, than can be charged; all in minor units."""

    def __init__(self, total: Money, minimum: int, maximum: int) -> None:
        amount, least, most = (format_amount(one, total.currency) for one in (total.amount, minimum, maximum))
        bound = f"the least that can be charged is {least}"
        if total.amount > maximum:
            bound = f"the most that can be charged is {most}"
        super().__init__(f"The order comes to {amount}; {bound}.")
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
    """The shopper's cart as it was read; `ids` are what it counts as when it is ordered, none from a cart of
    the previous release, and `bought` the orders of these that have been taken out of it."""

    lines: Sequence[Wanted]
    ids: tuple[UUID, ...] = ()
    bought: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the shopper has seen: the total, and the pieces by sku, as far as the page has told."""

    total: Money | None = None
    lines: Mapping[str, int] | None = None

    def allows(self, lines: Iterable[Line], total: Money) -> bool:
        """Whether she would agree to this order: the same lines, for no more money."""
        if self.lines is not None and self.lines != {line.sku: line.quantity for line in lines}:
            return False
        if self.total is None:
            return True
        return total.currency == self.total.currency and total.amount <= self.total.amount


ANYTHING = Expected()


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as it is sold at this moment."""

    sku: str
    name: str
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest order that is taken; `total` is in minor units, unless the provider takes less."""

    lines: int = 1000
    quantity: int = 10_000
    total: int = 99_999_999


def orderable(wanted: Sequence[Wanted], limits: Limits) -> None:
    """Whatever can be said against a cart before anybody is asked what is in it. Raises `Refused`."""
    if not wanted:
        raise Refused("The cart is empty.")
    if len(wanted) > limits.lines:
        raise Refused(f"An order has {limits.lines} lines at most, the cart has {len(wanted)}.")
    if errors := [{"sku": one.sku, "detail": _UNKNOWN} for one in wanted if not is_sku(one.sku)]:
        raise Refused("Some of the products cannot be ordered.", errors)


def priced(
    wanted: Sequence[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> tuple[tuple[Line, ...], Money]:
    """The lines of an order and what they come to, at the prices of this moment. Raises `Refused`."""
    if errors := list(_objections(wanted, offers, limits)):
        raise Refused("Some of the products cannot be ordered.", errors)
    [currency, *others] = sorted({offers[one.sku].currency for one in wanted})
    if others:
        raise Refused(f"One order has one currency, the cart has {', '.join([currency, *others])}.")
    lines = tuple(_line(one, offers[one.sku]) for one in wanted)
    total = Money(amount=sum(line.quantity * line.unit_price for line in lines), currency=currency)
    least, most = charged(currency, limits.total)
    if total.amount and not least <= total.amount <= most:
        raise NotCharged(total, least, most)
    return lines, total


def _objections(
    wanted: Iterable[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> Iterator[dict[str, str]]:
    for one in wanted:
        if one.sku not in offers:
            yield {"sku": one.sku, "detail": _UNKNOWN}
        elif not 1 <= one.quantity <= limits.quantity:
            yield {"sku": one.sku, "detail": f"The quantity must be from 1 to {limits.quantity}."}
        elif said := objection(offers[one.sku].price, offers[one.sku].currency):
            yield {"sku": one.sku, "detail": said}


def _line(wanted: Wanted, offer: Offer) -> Line:
    return Line(sku=offer.sku, name=offer.name, quantity=wanted.quantity, unit_price=offer.price)
