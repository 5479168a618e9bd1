"""An order's rules: how it ends, paid or cancelled, in whatever order the events arrive."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import (
    CancelReason,
    Line,
    Money,
    OrderAnonymised,
    OrderCancelled,
    OrderFulfilled,
    OrderPaid,
    PaymentActionRequired,
    ShortLine,
)
from order import events, returns
from order.errors import CannotBeCancelled, Impossible, NotPaid, PeriodOver, TooMuch
from order.returns import Dispute, LateRefund, Return

Status = Literal["pending", "paid", "cancelled"]


@dataclass(frozen=True)
class Address:
    """Where to ship; `country` is ISO 3166-1 alpha-2. A part that is missing is empty."""

    # Not None, because the previous release reads each of the first five as text.
    name: str
    street: str
    city: str
    postcode: str
    country: str
    company: str = ""
    line2: str = ""
    state: str = ""
    phone: str = ""
    vat_id: str = ""


@dataclass(eq=False)
class MergedGuest:
    """A guest who has logged in: the guest's orders, from before or after, belong to the account."""

    guest_id: UUID
    user_id: UUID
    merged_at: datetime


@dataclass(eq=False)
class DeletedAccount:
    """An account that was deleted: its orders are to be anonymised, each when it is over."""

    account_id: UUID
    deleted_at: datetime


@dataclass(eq=False)
class Order:
    """One order.

    `contact` is the shopper's e-mail address, encrypted, and `contact_hash` the same, hashed for
    searches; none once the order was anonymised. `sealed_shipping` is `shipping`, encrypted for events.
    The database generates a missing number. Old orders have neither `guest` nor `cart_id`. At most one
    order of a `cart_id` is not cancelled. `shopper_id` is always who placed it, `claimed_by` the account
    that has claimed it from a guest.

    `action_url`, encrypted, is the page of the shopper's bank where she can confirm until `action_expires_at`
    while the order is pending, and `return_url` is where that page sends her back to. `declined_at` is when
    her payment was declined, or her time to confirm it was over. `network`, hashed, is where she ordered
    from; it is forgotten as soon as the payment can no longer be declined.

    `cancelled_by` is `staff` if they cancelled it. `returning_since` is since when one of `returns` waits to
    be restocked or refunded. `undone` is whether a cancelled order has all its compensations, `nudges` how
    often its stuck saga was nudged, and `nudge_at` when that is due again.
    """

    order_id: UUID
    shopper_id: UUID
    lines: tuple[Line, ...]
    total: int
    currency: str
    payment_method: str
    contact: str | None
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
    contact_hash: bytes | None = None

    def owner(self, merged: MergedGuest | None) -> UUID:
        """Who owns it, if the guest who placed it was merged like that."""
        return self.claimed_by or (merged.user_id if merged else self.shopper_id)

    def claim(self, account: UUID, merged: MergedGuest | None) -> bool:
        """Make the account its owner if it belongs to a guest. Returns whether the account owns it now."""
        if self.guest and self.owner(merged) == self.shopper_id:
            self.claimed_by = account
        return self.owner(merged) == account

    def ask_shopper(self, asked: PaymentActionRequired) -> None:
        """Keep the page where she confirms with her bank, unless the order has ended."""
        if self.status == "pending":
            self.action_url, self.action_expires_at = asked.url, asked.expires_at

    def pay(self, paid: OrderPaid, now: datetime) -> None:
        """The money was captured. An order that was cancelled meanwhile stays cancelled, and now
        waits for its refund. Raises Impossible if what was paid differs from what was ordered."""
        self._require_as_placed(paid)
        if self.reason in ("out_of_stock", "payment_declined"):
            raise Impossible(f"paid, although cancelled for {self.reason}")
        if self.status == "pending":
            if self.voided_at or self.refunded_at:
                raise Impossible("paid, although the payment was voided or refunded")
            self.status, self.paid_at, self.payment_id = "paid", now, paid.payment_id
            self.action_url = self.action_expires_at = self.network = None
        elif self.status == "cancelled":
            self.undone = False

    def expire(self, now: datetime) -> list[OrderCancelled]:
        """Cancel a pending order; its deadline, which `jobs` compares, is over."""
        if self.status != "pending":
            return []
        if self.action_url is not None:
            self.declined_at = now
        return self._cancel("expired", now)

    def cancel(
        self, now: datetime, *, within: timedelta | None = None, by: str | None = None
    ) -> list[OrderCancelled]:
        """Cancel it for its shopper, a paid one `within` that time after it was paid, or `by` staff. Raises
        PeriodOver, and CannotBeCancelled once it was fulfilled."""
        if within is not None and self.status == "paid" and self.paid_at and now >= self.paid_at + within:
            raise PeriodOver(f"A paid order can be cancelled for {within.days} days.")
        if self.status == "paid" and (objection := self._cannot_be_cancelled()):
            raise CannotBeCancelled(objection)
        if self.status != "cancelled":
            self.cancelled_by, self.returning_since = by, None
        return self._cancel("shopper", now)

    def is_over(self, now: datetime, period: timedelta) -> bool:
        """Whether nothing can follow that its shopper has to learn of, or goods be sent for: it was cancelled
        and all was given back, or fulfilled and nothing is on its way back, or it was paid longer ago than
        the `period` in which it can be cancelled or returned."""
        if returns.not_made_again(self.late_refunds) or self.returning_since is not None:
            return False
        if any(one.state == "requested" for one in self.returns):
            return False
        if self.status == "cancelled":
            return self.undone
        return self.paid_at is not None and (self.fulfilled_at is not None or now >= self.paid_at + period)

    def anonymise(self) -> list[OrderAnonymised]:
        """Erase who the order is from. Whose id it has cannot be known any more: the account is deleted."""
        if self.contact is None:
            return []
        self.contact = self.contact_hash = self.shipping = self.sealed_shipping = None
        self.return_url = self.network = None
        return [events.anonymised(self)]

    def fulfil(self, now: datetime) -> list[OrderFulfilled]:
        """The goods were shipped. Raises NotPaid, and TooMuch if all of the money was refunded."""
        if self.status != "paid":
            raise NotPaid(f"The order is {self.status}: only a paid order can be fulfilled.")
        if self.fulfilled_at:
            return []
        if self.total and not self.left:
            raise TooMuch("All that was paid for the order was refunded.")
        self.fulfilled_at = now
        return [events.fulfilled(self)]

    @property
    def left(self) -> int:
        """What of its total can still be refunded."""
        return max(0, self.total - returns.given(self.returns))

    @property
    def refunded(self) -> int:
        """What was refunded so far."""
        parts = sum(one.amount for one in self.returns if one.refunded_at)
        return returns.refunded(self.total, self.refunded_at, self.refunded_rest, parts, self.late_refunds)

    def cancel_out_of_stock(self, short: tuple[ShortLine, ...], now: datetime) -> list[OrderCancelled]:
        """Stock could not be reserved."""
        if self.paid_at is not None:
            raise Impossible("out of stock, although paid")
        if self.status == "pending":
            self.short = short
        return self._cancel("out_of_stock", now)

    def decline(self, why: str | None, now: datetime, *, too_late: bool = False) -> list[OrderCancelled]:
        """The payment was refused for good; or the shopper is `too_late` to confirm it with her bank."""
        if self.paid_at is not None:
            raise Impossible("payment declined, although paid")
        if self.status == "pending":
            self.decline_reason, self.declined_at = why, now
        return self._cancel("expired" if too_late else "payment_declined", now)

    def note_release(self, now: datetime) -> None:
        """The stock was released."""
        if self.status != "cancelled":
            raise Impossible(f"stock released, although {self.status}")
        self.stock_released_at = self.stock_released_at or now

    def note_void(self, now: datetime) -> None:
        """The authorization of the money was released."""
        if self.status == "paid":
            raise Impossible("payment voided, although paid")
        if self.refunded_at:
            raise Impossible("payment voided, although refunded")
        self.voided_at = self.voided_at or now

    def note_refund(self, rest: int, now: datetime) -> None:
        """The money was refunded. A pending order may consume this before that its payment was declined."""
        if self.status == "paid":
            raise Impossible("payment refunded, although paid")
        if self.voided_at:
            raise Impossible("payment refunded, although voided")
        if self.refunded_at is None:
            self.refunded_at, self.refunded_rest = now, rest

    def count_nudge(self, now: datetime, pause: timedelta, limit: int) -> bool:
        """Whether to nudge this stuck saga now: `limit` times at most, each after twice the pause of the time
        before."""
        nudge = self.nudges < limit
        if nudge:
            self.nudges += 1
        self.nudge_at = now + pause * 2**self.nudges
        return nudge

    def _cancel(self, reason: CancelReason, now: datetime) -> list[OrderCancelled]:
        if self.status == "cancelled":
            return []
        self.status, self.cancelled_at, self.reason = "cancelled", now, reason
        self.nudges, self.nudge_at = 0, None
        self.action_url = self.action_expires_at = None
        if self.declined_at is None:
            self.network = None
        return [events.cancelled(self, reason)]

    def _cannot_be_cancelled(self) -> str | None:
        """Why a paid order cannot, or None."""
        if self.fulfilled_at:
            return "The order was fulfilled: request a return instead."
        if any(one.counts and one.lines for one in self.returns):
            return "Some of the order was returned already: request a return of the rest."
        if returns.settled(self.late_refunds):
            return "A refund of the order was settled in another way: ask staff to refund the rest."
        return None

    def _require_as_placed(self, paid: OrderPaid) -> None:
        """Compares what money and stock depend on."""
        if self.payment_id not in (None, paid.payment_id):
            raise Impossible("paid by a second payment")
        is_same = {
            "the shopper": paid.shopper_id == self.shopper_id,
            "the total": paid.total == Money(amount=self.total, currency=self.currency),
            "the lines": _sold(paid.lines) == _sold(self.lines),
        }
        if differs := [name for name, same in is_same.items() if not same]:
            raise Impossible(f"paid, but differs from what was ordered: {' and '.join(differs)}")


def _sold(lines: Iterable[Line]) -> list[tuple[str, int, int]]:
    return [(line.sku, line.quantity, line.unit_price) for line in lines]
