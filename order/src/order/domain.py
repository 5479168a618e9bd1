"""An order's rules: how it is placed, and how it ends, paid or cancelled, in whatever order news come in."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    CancelReason,
    Event,
    Line,
    Money,
    OrderCancelled,
    OrderCreated,
    OrderFulfilled,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
    PaymentActionRequired,
    PaymentRefundFailed,
    ShortLine,
)
from order import disputes, late, returns
from order.disputes import Dispute
from order.late import LateRefund
from order.returns import Return

Status = Literal["pending", "paid", "cancelled"]


class Impossible(Exception):
    """Two things are said of an order that cannot both be true: somebody has to look into it."""


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
    `action_expires_at`, while the order is pending; `return_url` is where she goes from there. `declined_at`
    is when her payment was declined, or she was too late to confirm it; `network`, hashed, is where she
    ordered from, forgotten as soon as it is known that it was not declined.

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
    declined_at: datetime | None = None
    network: bytes | None = None

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
            self.action_url = self.action_expires_at = self.network = None
        elif self.status == "cancelled":
            self.undone = False

    def may_be_cancelled(self, now: datetime, within: timedelta) -> bool:
        """Whether its shopper may still cancel it: once it is paid, for so long."""
        return self.status != "paid" or self.paid_at is None or now < self.paid_at + within

    def expire(self, now: datetime) -> list[OrderCancelled]:
        """The deadline has passed; only an order that is still pending minds."""
        if self.status != "pending":
            return []
        if self.action_url is not None:
            self.declined_at = now
        return self._cancel("expired", now)

    def withdraw(self, now: datetime, by: str | None = None) -> list[OrderCancelled]:
        """The shopper wants it no more, or staff cancel it. Raises Fulfilled once its goods have left."""
        if self.status == "paid" and self.fulfilled_at:
            raise returns.Fulfilled("The order has left for its shopper: request a return instead.")
        if self.status == "paid" and any(one.counts and one.lines for one in self.returns):
            raise returns.Fulfilled("Some of the order was taken back already: request a return of the rest.")
        if self.status == "paid" and late.settled(self.late_refunds):
            raise returns.Fulfilled("A refund of the order was settled otherwise: staff refund the rest.")
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

    def run_short(self, short: tuple[ShortLine, ...], now: datetime) -> list[OrderCancelled]:
        """Stock could not be reserved."""
        self._was_not_paid("out of stock")
        return self._cancel("out_of_stock", now, short)

    def decline(self, why: str | None, now: datetime, *, too_late: bool = False) -> list[OrderCancelled]:
        """The payment was refused for good; or the shopper is `too_late` to confirm it with her bank."""
        self._was_not_paid("payment declined")
        if self.status == "pending":
            self.decline_reason, self.declined_at = why, now
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
        self.note_late(LateRefund(failed.refund_id, failed.amount.amount, failed.code, now))

    def note_late(self, one: LateRefund) -> None:
        self.late_refunds = late.noted(self.late_refunds, one)

    def restate(self, now: datetime) -> list[Event]:
        """What was said of the order and still holds, for neighbours who have lost it."""
        if self.status == "pending" and now < self.deadline:
            return [self.created()]
        settled = (self.settled(one) for one in late.settled(self.late_refunds))
        if self.status == "paid":
            said = [self._fulfilled()] if self.fulfilled_at else []
            due = (self.returned(one) for one in self.returns if one.is_due and one.by != "provider")
            return [*said, *due, *settled]
        return [self._cancelled(self.reason), *settled] if self.reason else []

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

    def _fulfilled(self) -> OrderFulfilled:
        return OrderFulfilled(order_id=self.order_id, number=self.number)

    def settled(self, came_back: LateRefund) -> OrderRefundSettled:
        return OrderRefundSettled(
            order_id=self.order_id,
            refund_id=came_back.refund_id,
            amount=Money(amount=came_back.amount, currency=self.currency),
        )

    def returned(self, one: Return) -> OrderReturned:
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
        back, whatever it was for, or was lost to the shopper's bank."""
        everything = self.refunded + disputes.lost(self.disputes) >= self.total
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
        if self.declined_at is None:
            self.network = None
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
