"""An order's rules: how it is placed, and how it ends, paid or cancelled, in whatever order news come in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts import CancelReason, Line, Money, OrderCancelled, OrderCreated, ShortLine

Status = Literal["pending", "paid", "cancelled"]


class Impossible(Exception):
    """Two things are said of an order that cannot both be true: somebody has to look into it."""


class Refused(Exception):
    """No order comes of this cart; `errors` names each line, or the one reason, that stands against it."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of the shopper's cart."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as it is sold at this moment."""

    sku: str
    name: str
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest order that is taken; `total` is in minor units, and no more than Stripe can charge."""

    lines: int = 1000
    quantity: int = 10_000
    total: int = 99_999_999


@dataclass(frozen=True)
class Address:
    """Where to ship; `country` is ISO 3166-1 alpha-2."""

    name: str
    street: str
    city: str
    postcode: str
    country: str


@dataclass(eq=False)
class Order:
    """One order. `contact` is the shopper's e-mail address, sealed; the last fields note what was undone."""

    order_id: UUID
    shopper_id: UUID
    lines: tuple[Line, ...]
    total: int
    currency: str
    payment_method: str
    contact: str
    created_at: datetime
    deadline: datetime
    shipping: Address | None = None
    status: Status = "pending"
    payment_id: str | None = None
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None
    reason: CancelReason | None = None
    short: tuple[ShortLine, ...] = ()
    stock_released_at: datetime | None = None
    voided_at: datetime | None = None
    refunded_at: datetime | None = None

    def created(self) -> OrderCreated:
        """What is said when the order is placed."""
        return OrderCreated(
            order_id=self.order_id,
            shopper_id=self.shopper_id,
            contact=self.contact,
            lines=self.lines,
            total=Money(amount=self.total, currency=self.currency),
            payment_method=self.payment_method,
            deadline=self.deadline,
        )

    def pay(self, payment_id: str, now: datetime) -> None:
        """The money was captured. If the order was cancelled meanwhile, it stays so."""
        if self.reason in ("out_of_stock", "payment_declined"):
            raise Impossible(f"paid, although cancelled for {self.reason}")
        if self.status == "pending":
            self.status = "paid"
            self.payment_id = payment_id
            self.paid_at = now

    def expire(self, now: datetime) -> list[OrderCancelled]:
        """The deadline has passed; only an order that is still pending minds."""
        return self._cancel("expired", now) if self.status == "pending" else []

    def withdraw(self, now: datetime) -> list[OrderCancelled]:
        """The shopper wants it no more: before it is paid, or afterwards as a return."""
        return self._cancel("shopper", now)

    def run_short(self, short: tuple[ShortLine, ...], now: datetime) -> list[OrderCancelled]:
        """Stock could not be reserved."""
        self._was_not_paid("out of stock")
        return self._cancel("out_of_stock", now, short)

    def decline(self, now: datetime) -> list[OrderCancelled]:
        """The payment was refused for good."""
        self._was_not_paid("payment declined")
        return self._cancel("payment_declined", now)

    def note_release(self, now: datetime) -> None:
        """Its stock is on hand again."""
        self._is_cancelled("stock released")
        self.stock_released_at = self.stock_released_at or now

    def note_void(self, now: datetime) -> None:
        """Its money is no longer held."""
        self._is_cancelled("payment voided")
        if self.refunded_at:
            raise Impossible("payment voided, although refunded")
        self.voided_at = self.voided_at or now

    def note_refund(self, now: datetime) -> None:
        """Its money went back."""
        self._is_cancelled("payment refunded")
        if self.voided_at:
            raise Impossible("payment refunded, although voided")
        self.refunded_at = self.refunded_at or now

    def _cancel(
        self, reason: CancelReason, now: datetime, short: tuple[ShortLine, ...] = ()
    ) -> list[OrderCancelled]:
        if self.status == "cancelled":
            return []
        was_paid = self.status == "paid"
        self.status = "cancelled"
        self.cancelled_at = now
        self.reason = reason
        self.short = short
        return [
            OrderCancelled(
                order_id=self.order_id,
                shopper_id=self.shopper_id,
                contact=self.contact,
                lines=self.lines,
                total=Money(amount=self.total, currency=self.currency),
                reason=reason,
                was_paid=was_paid,
                short=short,
            )
        ]

    def _was_not_paid(self, news: str) -> None:
        if self.paid_at is not None:
            raise Impossible(f"{news}, although paid")

    def _is_cancelled(self, news: str) -> None:
        if self.status != "cancelled":
            raise Impossible(f"{news}, although {self.status}")


def priced(
    wanted: Sequence[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> tuple[tuple[Line, ...], Money]:
    """The lines of an order and what they come to, at the prices of this moment. Raises `Refused`."""
    if not wanted:
        raise Refused("The cart is empty.")
    if len(wanted) > limits.lines:
        raise Refused(f"An order has {limits.lines} lines at most, the cart has {len(wanted)}.")
    if errors := list(_objections(wanted, offers, limits)):
        raise Refused("Some of the products cannot be ordered.", errors)
    [currency, *others] = sorted({offers[one.sku].currency for one in wanted})
    if others:
        raise Refused(f"One order has one currency, the cart has {', '.join([currency, *others])}.")
    lines = tuple(_line(one, offers[one.sku]) for one in wanted)
    total = sum(line.quantity * line.unit_price for line in lines)
    if not 0 < total <= limits.total:
        raise Refused(f"The total must be from 1 to {limits.total} minor units of {currency}, it is {total}.")
    return lines, Money(amount=total, currency=currency)


def _objections(
    wanted: Iterable[Wanted], offers: Mapping[str, Offer], limits: Limits
) -> Iterator[dict[str, str]]:
    for one in wanted:
        if one.sku not in offers:
            yield {"sku": one.sku, "detail": "There is no such product, or it is sold no more."}
        elif not 1 <= one.quantity <= limits.quantity:
            yield {"sku": one.sku, "detail": f"The quantity must be from 1 to {limits.quantity}."}


def _line(wanted: Wanted, offer: Offer) -> Line:
    return Line(sku=offer.sku, name=offer.name, quantity=wanted.quantity, unit_price=offer.price)
