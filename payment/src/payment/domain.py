"""One order's payment: events and outcomes of provider calls may come in any order, and each leads to a
decision.

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

from contracts import (
    Event,
    Money,
    OrderCreated,
    PaymentActionRequired,
    PaymentDeclined,
    PaymentRefunded,
)
from payment import events
from payment.outcomes import (
    NOT_CHARGEABLE,
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    Outcome,
    PartRefunded,
    Refunded,
    RefundRefused,
    Voided,
)
from payment.units import chargeable

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

_GIVING_BACK = ("voiding", "voided", "refunding", "refunded", "refund_failed")

# The provider remembers a refusal under the refund's key for 24 hours: an earlier retry gets the same answer.
REFUND_RETRY_AFTER = timedelta(hours=25)

# The provider holds or has captured another amount than was requested: the money goes back, and the order is
# declined.
AMOUNT_MISMATCH = "amount_mismatch"
# Less was refunded than was left of the money. The order was paid, so this does not decline it.
REFUNDED_SHORT = "refunded_short"
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
    def was_captured(self) -> bool:
        return self.state in ("captured", "refunding", "refunded", "refund_failed")

    @property
    def is_given_back(self) -> bool:
        """Whether all of the money is being given back, or was."""
        return self.state in _GIVING_BACK

    @property
    def left(self) -> int:
        """What was not refunded in parts."""
        order, _ = self._money()
        return max(0, order.total.amount - sum(self.refunds.values()))

    def count(self, refund_id: UUID, amount: int) -> None:
        """That part takes so much of the money. Once `payment.refunded` was published, its amounts stay as
        they were published, whatever becomes of a part."""
        before = self.refunds.get(str(refund_id), 0)
        self.refunds = {**self.refunds, str(refund_id): before if self._is_refund_published else amount}

    @property
    def _is_refund_published(self) -> bool:
        return self.state == "refunded" or (self.state == "refund_failed" and self.refund_at is None)

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
        if not chargeable(order.total):
            self.state = "declined"
            return Decision((self._payment_declined(NOT_CHARGEABLE),))
        return Decision(call=self._start("authorizing", "authorize"))

    def refuse(self) -> None:
        """Never request money for the order, unless that was done already."""
        if self.state == "expected":
            self.state = "refused"

    def reserve(self) -> Decision:
        """The stock is reserved: capture the money once it is authorized, too."""
        self.stock_reserved = True
        if self.state != "authorized":
            return NOTHING
        return self._capture_free() if self.is_free else Decision(call=self._start("capturing", "capture"))

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
                return Decision(call=self._start("voiding", "void"))
            case "captured":
                self.state = "refunding"
                return NOTHING if waits else self.refund_rest()
        return NOTHING

    def refund_rest(self) -> Decision:
        """Refund what is left after the refunded parts."""
        if self.refunds and not self.left:
            return self.complete_refund()
        self.refund_at = None
        return Decision(call=self._start("refunding", "refund"))

    def release_expired(self) -> Decision:
        """The order's stock was not reserved until long after its deadline: void the money and decline."""
        if self.state != "authorized":
            return NOTHING
        if self.is_free:
            self.state = "declined"
            return Decision((self._payment_declined("expired"),))
        return Decision((self._payment_declined("expired"),), self._start("voiding", "void"))

    def look_up(self, *, cancelled: bool = False) -> Decision:
        """Something changed at the provider, or the payment was `cancelled` there: look it up, and again if
        there is more news in the meantime. That the shop's own void succeeded is no news."""
        expected = cancelled and self.state in ("voiding", "voided", "declined", "refused")
        if self.payment_id is None or self.is_free or expected:
            return NOTHING
        self.news += 1
        return Decision(call="look")

    def looked_up(self, news: int) -> Decision:
        """It was looked up when `news` was so much."""
        if self.news > news:
            return Decision(call="look")
        self.news = 0
        return NOTHING

    def lapse(self) -> Decision:
        """The money is no longer held, although the shop has not voided it. During a capture or void, the
        outcome of that call decides."""
        if self.state != "authorized":
            return NOTHING
        return Decision((self._payment_declined("canceled"),), self._start("voiding", "void"))

    def events_to_republish(self) -> tuple[Event, ...]:
        """The published events that are still true, for services that have lost them."""
        published: list[Event] = []
        declined = self.state in ("declined", "voiding", "voided") or self.code == AMOUNT_MISMATCH
        if self.code is not None and declined:
            published.append(self._payment_declined(self.code))
        match self.state:
            case "action_required":
                published.append(self._payment_action_required())
            case "authorized" | "capturing" if not self.is_free:
                published.append(events.authorized(*self._money()))
            case "captured":
                published.append(events.paid(*self._money()))
            case "voided":
                published.append(events.voided(*self._money()))
            case "refunded":
                published.append(self._payment_refunded())
        return tuple(published)

    def retry_refund(self) -> Decision:
        """Retry a refused refund: by now the card may be valid again, or the balance sufficient."""
        return self.refund_rest() if self.state == "refund_failed" else NOTHING

    def conclude(self, outcome: Outcome, now: datetime) -> Decision:
        """The outcome of a call is known. Raises `Impossible` if it contradicts the state."""
        match outcome:
            case Authorized(payment_id, held):
                return self._authorized(payment_id, held)
            case ActionRequired():
                return self._action_required(outcome)
            case Declined(code):
                return self._declined(code)
            case Captured(taken):
                return self._captured(taken)
            case Voided(held):
                return self._voided(held=held)
            case Refunded(amount):
                return self._refunded(amount, now)
            case RefundRefused(code):
                return self.refuse_refund(code, now)
            case PartRefunded():
                raise self._impossible("refunded in part")

    @property
    def is_free(self) -> bool:
        """Whether there is nothing to pay."""
        return self.order is not None and self.order.total.amount == 0

    def _authorize_free(self) -> Decision:
        self.state, self.payment_id = "authorized", f"{FREE}{self.order_id}"
        return self._capture_free() if self.stock_reserved else NOTHING

    def _capture_free(self) -> Decision:
        self.state = "captured"
        return Decision((events.paid(*self._money()),))

    def _cancel_free(self) -> Decision:
        """A paid free order publishes `payment.refunded`, too: whoever waits for it would miss it
        otherwise."""
        if self.state == "captured":
            self.state = "refunded"
            return Decision((self._payment_refunded(),))
        if self.state == "authorized":
            self.state = "refused"
        return NOTHING

    def _authorized(self, payment_id: str, held: Money | None) -> Decision:
        if self.payment_id == payment_id and self.state != "action_required":
            return NOTHING
        if self.state not in ("authorizing", "action_required"):
            raise self._impossible("authorized")
        self.state, self.payment_id, self.action_url = "authorized", payment_id, None
        if not self._matches_total(held):
            return Decision((self._payment_declined(AMOUNT_MISMATCH),), self._start("voiding", "void"))
        authorized = events.authorized(*self._money())
        decision = self.cancel() if self.cancelled else self.reserve() if self.stock_reserved else NOTHING
        return Decision((authorized,), decision.call)

    def _action_required(self, action: ActionRequired) -> Decision:
        if self.payment_id == action.payment_id:
            return NOTHING
        if self.state != "authorizing":
            raise self._impossible("action required")
        self.payment_id = action.payment_id
        if self.cancelled:
            return Decision(call=self._start("voiding", "void"))
        order, _ = self._money()
        self.action_url, self.action_expires_at = action.url, min(action.expires_at, order.deadline)
        self.state = "action_required"
        return Decision((self._payment_action_required(),), "confirm")

    def _declined(self, code: str) -> Decision:
        if self.state in _GIVING_BACK or self.state == "declined":
            return NOTHING
        if self.state == "authorizing":
            self.state = "declined"
            return Decision((self._payment_declined(code),))
        if self.state in ("action_required", "capturing"):
            # Without the void the shopper might still confirm, with another card.
            return Decision((self._payment_declined(code),), self._start("voiding", "void"))
        raise self._impossible("declined")

    def _captured(self, taken: Money | None) -> Decision:
        if self.state in ("captured", "refunding", "refunded", "refund_failed"):
            return NOTHING
        if self.state == "voiding":
            return Decision(call=self._start("refunding", "refund"))
        if self.state != "capturing":
            raise self._impossible("captured")
        if not self._matches_total(taken):
            return Decision((self._payment_declined(AMOUNT_MISMATCH),), self._start("refunding", "refund"))
        self.state = "captured"
        return Decision((events.paid(*self._money()),))

    def _voided(self, *, held: bool) -> Decision:
        """If no money was ever held, `payment.voided` is not published."""
        if self.state in ("voided", "declined"):
            return NOTHING
        if self.state != "voiding":
            raise self._impossible("voided")
        self.state = "voided" if held else "declined"
        return Decision((events.voided(*self._money()),)) if held else NOTHING

    def _refunded(self, amount: Money | None, now: datetime) -> Decision:
        """If the amount is not what was left, somebody has refunded at the provider, or a refund has bounced:
        the payment is looked up first, and what is missing is refunded later."""
        if self.state == "refunded":
            return NOTHING
        if self.state == "refund_failed":  # the payment was looked up first, and a refund has bounced since
            return self.look_up()
        if self.state != "refunding":
            raise self._impossible("refunded")
        if amount is not None and amount.amount == self.left:
            return self.complete_refund()
        self.refund_at = now + REFUND_RETRY_AFTER
        return self.look_up()

    def complete_refund(self) -> Decision:
        """All of the money was refunded."""
        self.state, self.refund_at = "refunded", None
        return Decision((self._payment_refunded(),))

    def refuse_refund(self, code: str, now: datetime) -> Decision:
        """The refund is retried when the provider has forgotten its key. If the payment was looked up first,
        it may be known already that somebody has refunded all of it, even if that has bounced since."""
        if self.state in ("refunded", "refund_failed"):
            return NOTHING
        if self.state != "refunding":
            raise self._impossible("refund refused")
        self.state = "refund_failed"
        if self.code != AMOUNT_MISMATCH:
            self.code = code
        self.refunds_refused += 1
        self.refund_at = now + REFUND_RETRY_AFTER
        return self.look_up() if code in DISPUTED else NOTHING

    def _payment_action_required(self) -> PaymentActionRequired:
        _, payment_id = self._money()
        assert self.action_url is not None, "a payment that waits for confirmation has the page's address"
        assert self.action_expires_at is not None, "and expires"
        return events.action_required(self.order_id, payment_id, self.action_url, self.action_expires_at)

    def _payment_declined(self, code: str) -> PaymentDeclined:
        self.code = code
        return events.declined(self.order_id, code)

    def _payment_refunded(self) -> PaymentRefunded:
        return events.refunded(*self._money(), before=sum(self.refunds.values()))

    def _matches_total(self, moved: Money | None) -> bool:
        order, _ = self._money()
        return moved == order.total

    def _money(self) -> tuple[OrderCreated, str]:
        assert self.order is not None, "only an order that was created has a total"
        assert self.payment_id is not None, "only a payment that was authorized has an id"
        return self.order, self.payment_id

    def _start(self, state: State, call: Call) -> Call:
        self.state, self.action_url = state, None
        return call

    def _impossible(self, outcome: str) -> Impossible:
        return Impossible(f"{outcome} while {self.state}")


def _terms(order: OrderCreated) -> tuple[object, ...]:
    lines = [(line.sku, line.quantity, line.unit_price) for line in order.lines]
    return order.shopper_id, order.total, lines
