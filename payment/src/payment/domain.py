"""One order's money: what was heard of it, in whatever order it came, and what follows from that.

Money is held when the order was created, taken once its stock is reserved too, and given back when the
order is off. A payment that has heard of the cancellation never takes money; what a capture under way may
still have taken goes back. A free order is paid as soon as its stock is reserved, and the provider never
hears of it. Where the shopper's bank asks, nothing is held before she has confirmed, and she has minutes for
that.
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
from payment import declines, events
from payment.outcomes import (
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

# The provider remembers a refusal under the refund's key for 24 hours: asking sooner repeats the answer.
REFUND_AGAIN_AFTER = timedelta(hours=25)

# The provider holds or has taken another amount than it was asked for: the money goes back, and the order is
# declined.
AMOUNT_MISMATCH = "amount_mismatch"
# Less has gone back than was left of the money: the order was paid, and is not declined for that.
REFUNDED_SHORT = "refunded_short"
# Nothing is refunded of what the shopper's bank has taken; how its dispute stands is to be looked up.
DISPUTED = ("charge_disputed", "refund_disputed_payment")
# How the payment of a free order is called: none of the provider's ids begins like that.
FREE = "free_"


class Impossible(Exception):
    """What is heard contradicts what is known: somebody has to look."""


@dataclass(frozen=True)
class Next:
    """What follows: events to say, and the provider call to make."""

    say: tuple[Event, ...] = ()
    call: Call | None = None


NOTHING = Next()


@dataclass(eq=False)
class Payment:
    """`code` is why the provider refused; `refunds_refused` and `refund_at` bound how often and tell when
    a refused refund is asked for again. `action_url`, sealed, and `action_expires_at` are where the shopper
    confirms with her bank, and until when. `news` counts what the provider has said of it that was not looked
    up yet. `refunds` are the parts that were asked for, by id, and how much of the money each has taken away
    or is about to (see `payment.refunds`), `disputes` the ids of its disputes."""

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
        """Whether all of it goes back, or has."""
        return self.state in _GIVING_BACK

    @property
    def left(self) -> int:
        """What was not given back in parts."""
        order, _ = self._money()
        return max(0, order.total.amount - sum(self.refunds.values()))

    def count(self, refund_id: UUID, amount: int) -> None:
        """That part takes so much of the money away. Once all of it was told to be back, what becomes of a
        part changes nothing of what was told."""
        before = self.refunds.get(str(refund_id), 0)
        self.refunds = {**self.refunds, str(refund_id): before if self._was_told else amount}

    @property
    def _was_told(self) -> bool:
        return self.state == "refunded" or (self.state == "refund_failed" and self.refund_at is None)

    def authorize(self, order: OrderCreated) -> Next:
        """The order was created: hold its money, unless it is off already. Raises `Impossible` when it was
        created otherwise before."""
        if self.order is not None:
            if _asked(order) != _asked(self.order):
                raise Impossible("created again, with another shopper, total or lines")
            return NOTHING
        self.order = order
        if self.cancelled:
            return NOTHING
        if self.is_free:
            return self._hold_nothing()
        if not chargeable(order.total):
            self.state = "declined"
            return Next((self._say_declined(declines.NOT_CHARGEABLE),))
        return self._go("authorizing", "authorize")

    def refuse(self) -> None:
        """No money is ever asked for it, unless that has begun."""
        if self.state == "expected":
            self.state = "refused"

    def reserve(self) -> Next:
        """The stock is held: take the money once that is held too."""
        self.stock_reserved = True
        if self.state != "authorized":
            return NOTHING
        return self._take_nothing() if self.is_free else self._go("capturing", "capture")

    def cancel(self, *, waits: bool = False) -> Next:
        """The order is off. While holding the money is under way, its outcome has to be waited for; a capture
        under way is raced by a void, and if it was faster, what it took is refunded. The shopper at her
        bank's page is raced as well: what she confirms meanwhile is voided, too. Parts that have gone back
        are not refunded again: it `waits` for those whose outcome is unknown."""
        self.cancelled = True
        if self.is_free:
            return self._give_nothing_back()
        match self.state:
            case "expected":
                self.state = "refused"
            case "action_required" | "authorized" | "capturing":
                return self._go("voiding", "void")
            case "captured":
                self.state = "refunding"
                return NOTHING if waits else self.refund_rest()
        return NOTHING

    def refund_rest(self) -> Next:
        """Give back what is left after the parts that have gone."""
        if self.refunds and not self.left:
            return self.is_refunded()
        self.refund_at = None
        return self._go("refunding", "refund")

    def give_up(self) -> Next:
        """Nobody has reserved the order's stock, long past its deadline: let the money go, and say so."""
        if self.state != "authorized":
            return NOTHING
        if self.is_free:
            self.state = "declined"
            return Next((self._say_declined("expired"),))
        follows = self._go("voiding", "void")
        return Next((self._say_declined("expired"),), follows.call)

    def advance(self, *, cancelled: bool = False) -> Next:
        """The provider has news of it, or says that it was `cancelled` there: have it looked up, and again
        if more is heard meanwhile. That a void of ours has worked is none."""
        expected = cancelled and self.state in ("voiding", "voided", "declined", "refused")
        if self.payment_id is None or self.is_free or expected:
            return NOTHING
        self.news += 1
        return Next(call="look")

    def looked_up(self, heard: int) -> Next:
        """It was looked up after so much was heard."""
        if self.news > heard:
            return Next(call="look")
        self.news = 0
        return NOTHING

    def lapse(self) -> Next:
        """What was held is held no more, and nobody here let it go. While it is being taken or let go, that
        call tells."""
        if self.state != "authorized":
            return NOTHING
        return Next((self._say_declined("canceled"),), self._go("voiding", "void").call)

    def restate(self) -> tuple[Event, ...]:
        """What was said of the money and still holds, for neighbours who have lost it."""
        said: list[Event] = []
        declined = self.state in ("declined", "voiding", "voided") or self.code == AMOUNT_MISMATCH
        if self.code is not None and declined:
            said.append(self._say_declined(self.code))
        match self.state:
            case "action_required":
                said.append(self._say_action_required())
            case "authorized" | "capturing" if not self.is_free:
                said.append(events.authorized(*self._money()))
            case "captured":
                said.append(events.paid(*self._money()))
            case "voided":
                said.append(events.voided(*self._money()))
            case "refunded":
                said.append(self._say_refunded())
        return tuple(said)

    def refund_again(self) -> Next:
        """A refused refund, after a while: a card may be valid again, a balance filled."""
        return self.refund_rest() if self.state == "refund_failed" else NOTHING

    def conclude(self, outcome: Outcome, now: datetime) -> Next:
        """A call has ended. Raises `Impossible` when it cannot have ended like that."""
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

    def _hold_nothing(self) -> Next:
        self.state, self.payment_id = "authorized", f"{FREE}{self.order_id}"
        return self._take_nothing() if self.stock_reserved else NOTHING

    def _take_nothing(self) -> Next:
        self.state = "captured"
        return Next((events.paid(*self._money()),))

    def _give_nothing_back(self) -> Next:
        """Whoever waits to hear that all is undone hears it, of nothing: so it cannot be lost unnoticed."""
        if self.state == "captured":
            self.state = "refunded"
            return Next((self._say_refunded(),))
        if self.state == "authorized":
            self.state = "refused"
        return NOTHING

    def _authorized(self, payment_id: str, held: Money | None) -> Next:
        if self.payment_id == payment_id and self.state != "action_required":
            return NOTHING
        if self.state not in ("authorizing", "action_required"):
            raise self._impossible("authorized")
        self.state, self.payment_id, self.action_url = "authorized", payment_id, None
        if not self._is_right(held):
            return Next((self._say_declined(AMOUNT_MISMATCH),), self._go("voiding", "void").call)
        authorized = events.authorized(*self._money())
        follows = self.cancel() if self.cancelled else self.reserve() if self.stock_reserved else NOTHING
        return Next((authorized,), follows.call)

    def _action_required(self, asked: ActionRequired) -> Next:
        if self.payment_id == asked.payment_id:
            return NOTHING
        if self.state != "authorizing":
            raise self._impossible("action required")
        self.payment_id = asked.payment_id
        if self.cancelled:
            return self._go("voiding", "void")
        order, _ = self._money()
        self.action_url, self.action_expires_at = asked.url, min(asked.expires_at, order.deadline)
        self.state = "action_required"
        return Next((self._say_action_required(),), "confirm")

    def _declined(self, code: str) -> Next:
        if self.state in _GIVING_BACK or self.state == "declined":
            return NOTHING
        if self.state == "authorizing":
            self.state = "declined"
            return Next((self._say_declined(code),))
        if self.state in ("action_required", "capturing"):
            follows = self._go("voiding", "void")  # or the shopper might still confirm, with another card
            return Next((self._say_declined(code),), follows.call)
        raise self._impossible("declined")

    def _captured(self, taken: Money | None) -> Next:
        if self.state in ("captured", "refunding", "refunded", "refund_failed"):
            return NOTHING
        if self.state == "voiding":
            return self._go("refunding", "refund")
        if self.state != "capturing":
            raise self._impossible("captured")
        if not self._is_right(taken):
            return Next((self._say_declined(AMOUNT_MISMATCH),), self._go("refunding", "refund").call)
        self.state = "captured"
        return Next((events.paid(*self._money()),))

    def _voided(self, *, held: bool) -> Next:
        """What was never held is not given back: nobody hears of that."""
        if self.state in ("voided", "declined"):
            return NOTHING
        if self.state != "voiding":
            raise self._impossible("voided")
        self.state = "voided" if held else "declined"
        return Next((events.voided(*self._money()),)) if held else NOTHING

    def _refunded(self, amount: Money | None, now: datetime) -> Next:
        """With another amount than is left, others have given some back, or something came back: that is
        looked up first, and what is missing then is asked for later."""
        if self.state == "refunded":
            return NOTHING
        if self.state == "refund_failed":  # a look was faster, and what it has found came back since
            return self.advance()
        if self.state != "refunding":
            raise self._impossible("refunded")
        if amount is not None and amount.amount == self.left:
            return self.is_refunded()
        self.refund_at = now + REFUND_AGAIN_AFTER
        return self.advance()

    def is_refunded(self) -> Next:
        """All of the money has gone back."""
        self.state, self.refund_at = "refunded", None
        return Next((self._say_refunded(),))

    def refuse_refund(self, code: str, now: datetime) -> Next:
        """It is asked for again when the provider has forgotten. A look may have been faster: others have
        given back all of it, whatever came back since."""
        if self.state in ("refunded", "refund_failed"):
            return NOTHING
        if self.state != "refunding":
            raise self._impossible("refund refused")
        self.state = "refund_failed"
        if self.code != AMOUNT_MISMATCH:
            self.code = code
        self.refunds_refused += 1
        self.refund_at = now + REFUND_AGAIN_AFTER
        return self.advance() if code in DISPUTED else NOTHING

    def _say_action_required(self) -> PaymentActionRequired:
        _, payment_id = self._money()
        assert self.action_url is not None, "who is asked to confirm is told where"
        assert self.action_expires_at is not None, "and until when"
        return events.action_required(self.order_id, payment_id, self.action_url, self.action_expires_at)

    def _say_declined(self, code: str) -> PaymentDeclined:
        self.code = code
        return events.declined(self.order_id, code)

    def _say_refunded(self) -> PaymentRefunded:
        return events.refunded(*self._money(), before=sum(self.refunds.values()))

    def _is_right(self, moved: Money | None) -> bool:
        order, _ = self._money()
        return moved == order.total

    def _money(self) -> tuple[OrderCreated, str]:
        assert self.order is not None, "money is only asked for a known order"
        assert self.payment_id is not None, "only money that was held has a payment"
        return self.order, self.payment_id

    def _go(self, state: State, call: Call) -> Next:
        self.state, self.action_url = state, None
        return Next(call=call)

    def _impossible(self, outcome: str) -> Impossible:
        return Impossible(f"{outcome} while {self.state}")


def _asked(order: OrderCreated) -> tuple[object, ...]:
    lines = [(line.sku, line.quantity, line.unit_price) for line in order.lines]
    return order.shopper_id, order.total, lines
