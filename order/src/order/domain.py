"""An order's rules: how it is placed, and how it ends, paid or cancelled, in whatever order news come in."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    CancelReason,
    Line,
    Money,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    PaymentActionRequired,
    PaymentDisputed,
    ShortLine,
    is_sku,
    written,
)
from order import disputes
from order.amounts import charged, objection
from order.disputes import Dispute

Status = Literal["pending", "paid", "cancelled"]

_UNKNOWN = "There is no such product, or it is sold no more."


class Impossible(Exception):
    """Two things are said of an order that cannot both be true: somebody has to look into it."""


class Refused(Exception):
    """No order comes of this cart; `errors` names each line, or the one reason, that stands against it."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class NotCharged(Refused):
    """The order would come to more, or to less, than can be charged; all in minor units."""

    def __init__(self, total: Money, minimum: int, maximum: int) -> None:
        amount, least, most = (written(one, total.currency) for one in (total.amount, minimum, maximum))
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
    the previous release."""

    lines: Sequence[Wanted]
    ids: tuple[UUID, ...] = ()


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


@dataclass(frozen=True)
class Address:
    """Where to ship; `country` is ISO 3166-1 alpha-2."""

    name: str
    street: str
    city: str
    postcode: str
    country: str


@dataclass(eq=False)
class MergedGuest:
    """A guest who has logged in: what the guest has ordered, before or since, is the account's."""

    guest_id: UUID
    user_id: UUID
    merged_at: datetime


@dataclass(eq=False)
class Order:
    """One order. `contact` is the shopper's e-mail address, sealed; `sealed_shipping` is `shipping` as events
    carry it. The database gives a number where none is given. Whether a guest placed it is not known of old
    orders, nor which cart it was: of a cart with one of its `cart_ids` no other order is accepted unless this
    one is cancelled. `shopper_id` stays who placed it, `claimed_by` is the account that has claimed it from a
    guest. `action_url`, sealed, is the page of the shopper's bank at which she may confirm until
    `action_expires_at`, while the order is pending; `return_url` is where she goes from there.

    The last fields note what was undone of a cancelled order and whether that was all, and how often and
    until when the saga was nudged because it stood.
    """

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
    number: str | None = None
    guest: bool | None = None
    sealed_shipping: str | None = None
    claimed_by: UUID | None = None
    cart_ids: tuple[UUID, ...] | None = None
    status: Status = "pending"
    payment_id: str | None = None
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None
    reason: CancelReason | None = None
    short: tuple[ShortLine, ...] = ()
    decline_reason: str | None = None
    stock_released_at: datetime | None = None
    voided_at: datetime | None = None
    refunded_at: datetime | None = None
    disputes: tuple[Dispute, ...] = ()
    undone: bool = False
    nudges: int = 0
    nudge_at: datetime | None = None
    return_url: str | None = None
    action_url: str | None = None
    action_expires_at: datetime | None = None

    def owner(self, merged: MergedGuest | None) -> UUID:
        """Whose it is, given what has become of who placed it."""
        return self.claimed_by or (merged.user_id if merged else self.shopper_id)

    def claim(self, account: UUID, merged: MergedGuest | None) -> bool:
        """The account has a right to it, unless it belongs to an account. Tells whether it is that account's
        now."""
        if self.guest and self.owner(merged) == self.shopper_id:
            self.claimed_by = account
        return self.owner(merged) == account

    def created(self) -> OrderCreated:
        """What is said when the order is placed."""
        return OrderCreated(
            order_id=self.order_id,
            shopper_id=self.shopper_id,
            contact=self.contact,
            lines=self.lines,
            total=Money(amount=self.total, currency=self.currency),
            number=self.number,
            placed_at=self.created_at,
            guest=self.guest,
            shipping=self.sealed_shipping,
            payment_method=self.payment_method,
            deadline=self.deadline,
            cart_ids=self.cart_ids or (),
            return_url=self.return_url,
        )

    def ask_shopper(self, asked: PaymentActionRequired) -> None:
        """Her bank wants her to confirm. When the order has ended, nobody wants anything."""
        if self.status == "pending":
            self.action_url, self.action_expires_at = asked.url, asked.expires_at

    def pay(self, paid: OrderPaid, now: datetime) -> None:
        """The money was captured. If the order was cancelled meanwhile, it stays so. What was paid has to be
        what was ordered."""
        self._is_as_placed(paid)
        if self.reason in ("out_of_stock", "payment_declined"):
            raise Impossible(f"paid, although cancelled for {self.reason}")
        if self.status == "pending":
            if self.voided_at or self.refunded_at:
                raise Impossible("paid, although the money went back")
            self.status = "paid"
            self.payment_id = paid.payment_id
            self.paid_at = now
            self.action_url = self.action_expires_at = None
        elif self.status == "cancelled":
            self.undone = False

    def may_be_cancelled(self, now: datetime, within: timedelta) -> bool:
        """Whether its shopper may still cancel it: once it is paid, for so long."""
        return self.status != "paid" or self.paid_at is None or now < self.paid_at + within

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

    def decline(self, why: str | None, now: datetime, *, too_late: bool = False) -> list[OrderCancelled]:
        """The payment was refused for good; or the shopper is `too_late` to confirm it with her bank."""
        self._was_not_paid("payment declined")
        if self.status == "pending":
            self.decline_reason = why
        return self._cancel("expired" if too_late else "payment_declined", now)

    def note_release(self, now: datetime) -> None:
        """Its stock is on hand again."""
        self._is_cancelled("stock released")
        self.stock_released_at = self.stock_released_at or now

    def note_void(self, now: datetime) -> None:
        """Its money is no longer held."""
        self._is_not_paid("payment voided")
        if self.refunded_at:
            raise Impossible("payment voided, although refunded")
        self.voided_at = self.voided_at or now

    def note_refund(self, now: datetime) -> None:
        """Its money went back."""
        self._is_not_paid("payment refunded")
        if self.voided_at:
            raise Impossible("payment refunded, although voided")
        self.refunded_at = self.refunded_at or now

    def note_dispute(self, disputed: PaymentDisputed) -> None:
        """The shopper's bank asks for the money: that changes nothing here, but staff are to see it."""
        self.disputes = disputes.noted(self.disputes, disputed)

    def restate(self, now: datetime) -> list[OrderCreated | OrderCancelled]:
        """What was said of the order and still holds, for neighbours who have lost it."""
        if self.status == "pending" and now < self.deadline:
            return [self.created()]
        return [self._cancelled(self.reason)] if self.reason else []

    def owes(self, told: Collection[str]) -> list[str]:
        """What has still to be undone of a cancelled order, given which events were told of it."""
        if self.status != "cancelled":
            return []
        owed = []
        if "stock.reserved" in told and not self.stock_released_at:
            owed.append("stock.released")
        if (self.paid_at or "order.paid" in told) and not self.refunded_at:
            owed.append("payment.refunded")
        elif "payment.authorized" in told and not (self.voided_at or self.refunded_at):
            owed.append("payment.voided")
        return owed

    def stand(self, now: datetime, pause: timedelta, limit: int) -> bool:
        """It stands, and is looked at again after twice the pause. Tells whether to nudge: `limit` times at
        most."""
        again = self.nudges < limit
        self.nudges += again
        self.nudge_at = now + pause * 2**self.nudges
        return again

    def _cancel(
        self, reason: CancelReason, now: datetime, short: tuple[ShortLine, ...] = ()
    ) -> list[OrderCancelled]:
        if self.status == "cancelled":
            return []
        self.status = "cancelled"
        self.cancelled_at = now
        self.reason = reason
        self.short = short
        self.nudges, self.nudge_at = 0, None
        self.action_url = self.action_expires_at = None
        return [self._cancelled(reason)]

    def _cancelled(self, reason: CancelReason) -> OrderCancelled:
        return OrderCancelled(
            order_id=self.order_id,
            shopper_id=self.shopper_id,
            contact=self.contact,
            lines=self.lines,
            total=Money(amount=self.total, currency=self.currency),
            number=self.number,
            placed_at=self.created_at,
            guest=self.guest,
            shipping=self.sealed_shipping,
            reason=reason,
            was_paid=self.paid_at is not None,
            short=self.short,
            decline_reason=self.decline_reason,
        )

    def _is_as_placed(self, paid: OrderPaid) -> None:
        """What of it is compared is what money and stock depend on."""
        if self.payment_id not in (None, paid.payment_id):
            raise Impossible("paid by another payment than before")
        differs = [
            name
            for name, is_same in (
                ("the shopper", paid.shopper_id == self.shopper_id),
                ("the total", paid.total == Money(amount=self.total, currency=self.currency)),
                ("the lines", _sold(paid.lines) == _sold(self.lines)),
            )
            if not is_same
        ]
        if differs:
            raise Impossible(f"paid, but not as ordered: {' and '.join(differs)}")

    def _was_not_paid(self, news: str) -> None:
        if self.paid_at is not None:
            raise Impossible(f"{news}, although paid")

    def _is_not_paid(self, news: str) -> None:
        """A pending order may hear that its money went back before it hears that payment was declined."""
        if self.status == "paid":
            raise Impossible(f"{news}, although paid")

    def _is_cancelled(self, news: str) -> None:
        if self.status != "cancelled":
            raise Impossible(f"{news}, although {self.status}")


def _sold(lines: Iterable[Line]) -> list[tuple[str, int, int]]:
    return [(line.sku, line.quantity, line.unit_price) for line in lines]


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
