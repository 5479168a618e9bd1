"""One order's payment: its state, and what each event of the order leads to. The events may come in any
sequence, and so may the outcomes of provider calls (see `payment.outcomes`).

The money is authorized when the order is created, captured once the stock is reserved too, and voided or
refunded when the order is cancelled. After the cancellation no money is captured; what a capture that was
already running has taken is refunded. A free order is paid as soon as its stock is reserved, without a
provider call. If the shopper's bank requires a confirmation, no money is held before she has confirmed, and
she has some minutes to do so.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import Event, OrderCreated, PaymentDeclined, PaymentRefunded
from payment import events

State = Literal[
    "expected",
    "authorizing",
    "action_required",
    "authorized",
    "capturing",
    "captured",
    "voiding",
    "voided",
    "refunding",
    "refunded",
    "refund_failed",
    "declined",
    "refused",
]
Call = Literal["authorize", "confirm", "capture", "void", "refund", "look"]

# The provider remembers a refusal under the refund's key for 24 hours: an earlier retry gets the same answer.
REFUND_RETRY_AFTER = timedelta(hours=25)

# The provider holds or has captured another amount than was requested: the money goes back, and the order is
# declined.
AMOUNT_MISMATCH = "amount_mismatch"
# The provider refunds nothing that is disputed; the state of the dispute has to be looked up.
DISPUTED = ("charge_disputed", "refund_disputed_payment")
# The prefix of a free order's payment id: none of the provider's ids begins with it.
FREE = "free_"


class Impossible(Exception):
    """An event or outcome contradicts the state: somebody has to look."""


@dataclass(frozen=True)
class Decision:
    """The events to publish, and the provider call to make."""

    events: tuple[Event, ...] = ()
    call: Call | None = None


NOTHING = Decision()


@dataclass(eq=False)
class Payment:
    """The state of an order's payment.

    `code`: why the provider refused. `refunds_refused`, `refund_at`: how often the refund of all that is left
    was refused, and when it is retried. `action_url` (encrypted), `action_expires_at`: where the shopper
    confirms with her bank, and until when. `news`: how many notices of changes at the provider were not
    looked up yet. `refunds`: by the id of a partial refund or lost dispute, how much of the money it has
    taken or will take (see `payment.refunds`). `disputes`: ids.
    """

    order_id: UUID
    state: State = "expected"
    order: OrderCreated | None = None
    stock_reserved: bool = False
    cancelled: bool = False
    payment_id: str | None = None
    code: str | None = None
    refunds_refused: int = 0
    refund_at: datetime | None = None
    action_url: str | None = None
    action_expires_at: datetime | None = None
    news: int = 0
    disputes: tuple[str, ...] = ()
    refunds: dict[str, int] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether there is nothing to pay."""
        return self.order is not None and self.order.total.amount == 0

    @property
    def was_captured(self) -> bool:
        return self.state in ("captured", "refunding", "refunded", "refund_failed")

    @property
    def is_given_back(self) -> bool:
        """Whether all of the money is being given back, or was."""
        return self.state in ("voiding", "voided", "refunding", "refunded", "refund_failed")

    @property
    def left(self) -> int:
        """What was not refunded in parts."""
        order, _ = self.order_and_payment_id()
        return max(0, order.total.amount - sum(self.refunds.values()))

    def set_refunded(self, refund_id: UUID, amount: int) -> None:
        """That part takes this much of the money now. Once `payment.refunded` was published, its amounts stay
        as they were published, whatever becomes of a part."""
        if self._is_refund_published:
            amount = self.refunds.get(str(refund_id), 0)
        self.refunds = {**self.refunds, str(refund_id): amount}

    @property
    def _is_refund_published(self) -> bool:
        return self.state == "refunded" or (self.state == "refund_failed" and self.refund_at is None)

    def anonymise(self) -> None:
        """Erase the personal data that the order had."""
        if self.order is not None:
            erased = {"contact": None, "shipping": None, "return_url": None}
            self.order = self.order.model_copy(update=erased)

    def authorize(self, order: OrderCreated) -> Decision:
        """The order was created: authorize its total, unless it was cancelled already. Raises `Impossible` if
        it was created before with other terms."""
        if self.order is not None:
            if _terms(order) != _terms(self.order):
                raise Impossible("created again, with another shopper, total or lines")
            return NOTHING
        self.order = order
        if self.cancelled:
            return NOTHING
        if self.is_free:
            return self._authorize_free()
        if not events.is_chargeable(order.total):
            self.state = "declined"
            return Decision((self.declined_event(events.NOT_CHARGEABLE),))
        return Decision(call=self.start("authorizing", "authorize"))

    def _authorize_free(self) -> Decision:
        self.state, self.payment_id = "authorized", f"{FREE}{self.order_id}"
        return self.reserve() if self.stock_reserved else NOTHING

    def refuse(self) -> None:
        """Never request money for the order, unless that was done already."""
        if self.state == "expected":
            self.state = "refused"

    def reserve(self) -> Decision:
        """The stock is reserved: capture the money once it is authorized, too."""
        self.stock_reserved = True
        if self.state != "authorized":
            return NOTHING
        return self.pay() if self.is_free else Decision(call=self.start("capturing", "capture"))

    def pay(self) -> Decision:
        """The money is captured, or the order is free."""
        self.state = "captured"
        return Decision((events.paid(*self.order_and_payment_id()),))

    def cancel(self, *, waits: bool = False) -> Decision:
        """The order is cancelled. A running authorization is voided when its outcome is known. A running
        capture is voided at once, and if the capture was faster, it is refunded. A confirmation that the
        shopper is giving at her bank is voided as well. Parts that were refunded are not refunded again: the
        refund `waits` until the outcomes of all parts are known."""
        self.cancelled = True
        if self.is_free:
            return self._cancel_free()
        match self.state:
            case "expected":
                self.state = "refused"
            case "action_required" | "authorized" | "capturing":
                return Decision(call=self.start("voiding", "void"))
            case "captured":
                self.state = "refunding"
                return NOTHING if waits else self.refund_rest()
        return NOTHING

    def _cancel_free(self) -> Decision:
        """A paid free order publishes `payment.refunded`, too: order waits for it and would miss it
        otherwise."""
        if self.state == "captured":
            return self.complete_refund()
        if self.state == "authorized":
            self.state = "refused"
        return NOTHING

    def refund_rest(self) -> Decision:
        """Refund what is left after the refunded parts."""
        if self.refunds and not self.left:
            return self.complete_refund()
        self.refund_at = None
        return Decision(call=self.start("refunding", "refund"))

    def retry_refund(self) -> Decision:
        """Retry a refused refund: by now the card may be valid again, or the balance sufficient."""
        return self.refund_rest() if self.state == "refund_failed" else NOTHING

    def complete_refund(self) -> Decision:
        """All of the money was refunded."""
        self.state, self.refund_at = "refunded", None
        return Decision((self._payment_refunded(),))

    def void_expired(self) -> Decision:
        """The order's stock was not reserved until long after its deadline: void the money and decline."""
        if self.state != "authorized":
            return NOTHING
        if self.is_free:
            self.state = "declined"
            return Decision((self.declined_event("expired"),))
        return Decision((self.declined_event("expired"),), self.start("voiding", "void"))

    def look_up(self, *, cancelled: bool = False) -> Decision:
        """Something changed at the provider, or the payment was `cancelled` there: look it up, and again if
        there is more news in the meantime. That the shop's own void succeeded is no news."""
        expected = cancelled and self.state in ("voiding", "voided", "declined", "refused")
        if self.payment_id is None or self.is_free or expected:
            return NOTHING
        self.news += 1
        return Decision(call="look")

    def events_to_republish(self) -> tuple[Event, ...]:
        """The published events that are still true, for services that have lost them."""
        published: list[Event] = []
        declined = self.state in ("declined", "voiding", "voided") or self.code == AMOUNT_MISMATCH
        if self.code is not None and declined:
            published.append(self.declined_event(self.code))
        match self.state:
            case "action_required":
                published.append(self.action_required_event())
            case "authorized" | "capturing" if not self.is_free:
                published.append(events.authorized(*self.order_and_payment_id()))
            case "captured":
                published.append(events.paid(*self.order_and_payment_id()))
            case "voided":
                published.append(events.voided(*self.order_and_payment_id()))
            case "refunded":
                published.append(self._payment_refunded())
        return tuple(published)

    def declined_event(self, code: str) -> PaymentDeclined:
        """The event that the payment is declined, and why."""
        self.code = code
        return events.declined(self.order_id, code)

    def action_required_event(self) -> Event:
        """The event that the shopper has to confirm, and where."""
        page = self.action_url, self.action_expires_at
        return events.action_required(*self.order_and_payment_id(), *page)

    def _payment_refunded(self) -> PaymentRefunded:
        return events.refunded(*self.order_and_payment_id(), before=sum(self.refunds.values()))

    def order_and_payment_id(self) -> tuple[OrderCreated, str]:
        """The order and the provider's id of its payment, once there are both."""
        assert self.order is not None, "only an order that was created has a total"
        assert self.payment_id is not None, "only a payment that was authorized has an id"
        return self.order, self.payment_id

    def start(self, state: State, call: Call) -> Call:
        """Go on with a call."""
        self.state, self.action_url = state, None
        return call


def _terms(order: OrderCreated) -> tuple[object, ...]:
    lines = [(line.sku, line.quantity, line.unit_price) for line in order.lines]
    return order.shopper_id, order.total, lines
