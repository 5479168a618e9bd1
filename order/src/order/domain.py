"""An order's rules: how it is placed, and how it ends, paid or cancelled, in whatever order news come in."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    CancelReason,
    Line,
    Money,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderReturned,
    PaymentActionRequired,
    PaymentDisputed,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    ShortLine,
    is_sku,
    written,
)
from order import disputes, late, returns
from order.amounts import charged, objection
from order.disputes import Dispute
from order.late import LateRefund
from order.returns import Pieces, Return

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
    orders, nor which cart it was: there is one order with each `cart_id`, besides cancelled ones.
    `shopper_id` stays who placed it, `claimed_by` is the account that has claimed it from a guest.
    `action_url`, sealed, is the page of the shopper's bank at which she may confirm until
    `action_expires_at`, while the order is pending; `return_url` is where she goes from there.

    `cancelled_by` is `staff` when they did it. `returns` is all that goes back of it, and `returning_since`
    since when something of that has still to be done. The last fields note what was undone of a cancelled
    order and whether that was all, and how often and until when the saga was nudged because it stood.
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
    cart_id: UUID | None = None
    status: Status = "pending"
    payment_id: str | None = None
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    fulfilled_at: datetime | None = None
    returns: tuple[Return, ...] = ()
    returning_since: datetime | None = None
    reason: CancelReason | None = None
    short: tuple[ShortLine, ...] = ()
    decline_reason: str | None = None
    stock_released_at: datetime | None = None
    voided_at: datetime | None = None
    refunded_at: datetime | None = None
    refunded_rest: int | None = None
    late_refunds: tuple[LateRefund, ...] = ()
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

    def withdraw(self, now: datetime, by: str | None = None) -> list[OrderCancelled]:
        """The shopper wants it no more, or staff cancel it. Raises Fulfilled once its goods have left."""
        if self.status == "paid" and self.fulfilled_at:
            raise returns.Fulfilled("The order has left for its shopper: request a return instead.")
        if self.status == "paid" and any(one.counts and one.lines for one in self.returns):
            raise returns.Fulfilled("Some of the order was taken back already: request a return of the rest.")
        if self.status != "cancelled":
            self.cancelled_by, self.returning_since = by, None
        return self._cancel("shopper", now)

    def fulfil(self, now: datetime) -> list[OrderFulfilled]:
        """Its goods have left. Raises NotPaid, and TooMuch when all of its money was given back."""
        if self.status != "paid":
            raise returns.NotPaid(f"The order is {self.status}: only a paid order is fulfilled.")
        if self.fulfilled_at:
            return []
        if self.total and not self.left:
            raise returns.TooMuch("All that was paid for the order was given back.")
        self.fulfilled_at = now
        return [self._fulfilled()]

    @property
    def left(self) -> int:
        """What can still be given back of its total."""
        return max(0, self.total - returns.given(self.returns))

    @property
    def refunded(self) -> int:
        """What was given back so far."""
        parts = sum(one.amount for one in self.returns if one.refunded_at)
        return late.refunded(self.total, self.refunded_at, self.refunded_rest, parts, self.late_refunds)

    def request_return(
        self, return_id: UUID, wanted: Sequence[Pieces], now: datetime, within: timedelta | None
    ) -> Return:
        """Goods are to come back; `within` so long after it was fulfilled, unless staff ask. Raises
        NotReturnable."""
        if self.status == "cancelled":
            raise returns.NotPaid("The order is cancelled: what was paid for it goes back by itself.")
        if self.status == "pending" or self.fulfilled_at is None:
            raise returns.NotFulfilled("The order has not left for its shopper: cancel it instead.")
        if within is not None and now >= self.fulfilled_at + within:
            raise returns.PeriodOver(f"An order can be returned for {within.days} days.")
        lines = returns.taken(self.lines, self.returns, wanted)
        amount = min(returns.worth(lines), self.left)
        one = Return(return_id, "return", "requested", lines, amount, now)
        self.returns = (*self.returns, one)
        return one

    def give_back(
        self, return_id: UUID, now: datetime, *, wanted: Sequence[Pieces], amount: int | None, restock: bool
    ) -> list[OrderReturned]:
        """Staff give money back: for these pieces, or so much, or without either all that is left. Raises
        NotReturnable."""
        if self.status != "paid":
            raise returns.NotPaid(f"The order is {self.status}: there is nothing to refund.")
        lines = returns.taken(self.lines, self.returns, wanted)
        if amount is None:
            amount = min(returns.worth(lines), self.left) if lines else self.left
        if not 0 < amount <= self.left:
            raise returns.TooMuch(f"{self.left} minor units of {self.currency} are left to refund.")
        one = Return(return_id, "staff", "granted", lines, amount, now, restock, received_at=now)
        self.returns = (*self.returns, one)
        return [self._due(one)]

    def receive_return(self, return_id: UUID, now: datetime) -> list[OrderReturned]:
        """The goods are here: they are restocked, and their price refunded. Raises Unknown, Closed."""
        before = self.find_return(return_id)
        # Somebody may have given money back at the provider meanwhile.
        others = returns.given(one for one in self.returns if one is not before)
        amount = max(0, min(before.amount, self.total - others))
        after = returns.receive(before, amount, now)
        if after is before:
            return []
        self.returns = returns.changed(self.returns, after)
        return [self._due(after)]

    def close_return(
        self, return_id: UUID, state: Literal["rejected", "withdrawn"], reason: str | None = None
    ) -> bool:
        """Nothing comes of it. Tells whether that is new. Raises Unknown, Closed."""
        before = self.find_return(return_id)
        after = returns.close(before, state, reason)
        self.returns = returns.changed(self.returns, after)
        return after is not before

    def find_return(self, return_id: UUID) -> Return:
        """Raises Unknown."""
        one = returns.find(self.returns, return_id)
        if one is None:
            raise returns.Unknown
        return one

    def note_restock(self, return_id: UUID, now: datetime) -> None:
        """The goods of that return are on hand again."""
        one = self._known(return_id, "stock returned")
        self._note(replace(one, restocked_at=one.restocked_at or now))

    def note_refund_in_part(self, refund: PaymentRefundedInPart, now: datetime) -> None:
        """A part of its money went back. Of what was refunded at the provider this is the first news."""
        if refund.amount.currency != self.currency:
            raise Impossible("refunded in another currency")
        if refund.by == late.AGAIN:
            self._note_late(LateRefund(refund.refund_id, refund.amount.amount, None, now))
            return
        if refund.by == "provider" and returns.find(self.returns, refund.refund_id) is None:
            made = Return(
                refund.refund_id, "provider", "granted", (), refund.amount.amount, now, received_at=now
            )
            self.returns = (*self.returns, made)
        one = self._known(refund.refund_id, "refunded in part")
        if one.amount != refund.amount.amount:
            raise Impossible(f"refunded {refund.amount.amount}, and not {one.amount}")
        self._note(replace(one, refunded_at=one.refunded_at or now))

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

    def note_refund(self, rest: int, now: datetime) -> None:
        """Its money went back."""
        self._is_not_paid("payment refunded")
        if self.voided_at:
            raise Impossible("payment refunded, although voided")
        if self.refunded_at is None:
            self.refunded_at, self.refunded_rest = now, rest

    def note_failed_refund(self, failed: PaymentRefundFailed, now: datetime) -> None:
        """Something that had gone back came back: the shopper does not have it."""
        if failed.amount.currency != self.currency:
            raise Impossible("a refund failed in another currency")
        self._note_late(LateRefund(failed.refund_id, failed.amount.amount, failed.code, now))

    def _note_late(self, one: LateRefund) -> None:
        self.late_refunds = late.noted(self.late_refunds, one)

    def note_dispute(self, disputed: PaymentDisputed) -> None:
        """The shopper's bank asks for the money: that changes nothing here, but staff are to see it."""
        self.disputes = disputes.noted(self.disputes, disputed)

    def restate(self, now: datetime) -> list[OrderCreated | OrderFulfilled | OrderReturned | OrderCancelled]:
        """What was said of the order and still holds, for neighbours who have lost it."""
        if self.status == "pending" and now < self.deadline:
            return [self.created()]
        if self.status == "paid":
            said = [self._fulfilled()] if self.fulfilled_at else []
            return [
                *said,
                *(self._returned(one) for one in self.returns if one.is_due and one.by != "provider"),
            ]
        return [self._cancelled(self.reason)] if self.reason else []

    def owes(self, told: Collection[str]) -> list[str]:
        """What has still to be undone of a cancelled order, given which events were told of it; what the
        returns of a paid one wait for."""
        if self.status == "paid":
            return sorted({type_ for one in self.returns for type_ in self.awaited(one)})
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

    def _due(self, one: Return) -> OrderReturned:
        self.nudges, self.nudge_at = 0, None
        self._look_after_returns()
        return self._returned(one)

    def _note(self, one: Return) -> None:
        self.returns = returns.changed(self.returns, one)
        self._look_after_returns()

    def _look_after_returns(self) -> None:
        waiting = [one.received_at for one in self.returns if one.received_at and self.awaited(one)]
        self.returning_since = min(waiting, default=None) if self.status == "paid" else None

    def _known(self, return_id: UUID, news: str) -> Return:
        one = returns.find(self.returns, return_id)
        if one is None or not one.is_due:
            raise Impossible(f"{news}, although nothing was to go back by {return_id}")
        return one

    def _fulfilled(self) -> OrderFulfilled:
        return OrderFulfilled(order_id=self.order_id, number=self.number)

    def _returned(self, one: Return) -> OrderReturned:
        return OrderReturned(
            order_id=self.order_id,
            return_id=one.return_id,
            shopper_id=self.shopper_id,
            contact=self.contact,
            number=self.number,
            lines=one.restocks,
            amount=Money(amount=one.amount, currency=self.currency),
            by=one.by,
        )

    def awaited(self, one: Return) -> list[str]:
        """The events that this return waits for: nobody has still to be refunded once all of the money went
        back, whatever it was for."""
        everything = self.refunded >= self.total
        return [type_ for type_ in one.awaits() if type_ == "stock.returned" or not everything]

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
            cancelled_by=self.cancelled_by,
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
