"""How a provider call that changes something ends, and what each outcome leads to. A call whose outcome is
unknown has none yet: it is repeated until it has one.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts import Money
from payment import events
from payment.domain import (
    AMOUNT_MISMATCH,
    DISPUTED,
    NOTHING,
    REFUND_RETRY_AFTER,
    Decision,
    Impossible,
    Payment,
)


@dataclass(frozen=True)
class Authorized:
    """The money is held; `None` is an amount that the shop cannot have requested."""

    payment_id: str
    held: Money | None


@dataclass(frozen=True)
class ActionRequired:
    """The shopper has to confirm at her bank's page before money is held; `url` is its address, encrypted."""

    payment_id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Declined:
    """Refused for good: no money was captured, but a refused capture may leave the authorization."""

    code: str


@dataclass(frozen=True)
class Captured:
    """The money is captured; also the outcome of a void that came too late. `taken` is `None` if the
    shop cannot have requested it."""

    taken: Money | None


@dataclass(frozen=True)
class Voided:
    """No money is held any more, and none was captured. `held`: whether any was held before."""

    held: bool = True


@dataclass(frozen=True)
class Refunded:
    """All that was left is refunded. `amount` is `None` if the shop cannot have requested it, or if all
    was refunded at the provider before: then the payment has to be looked up."""

    amount: Money | None


@dataclass(frozen=True)
class PartRefunded:
    """A part is refunded. `amount` is `None` if it is not an amount that the shop can have requested."""

    amount: Money | None


@dataclass(frozen=True)
class RefundRefused:
    """The provider refuses the refund, for now."""

    code: str


Outcome = Authorized | ActionRequired | Declined | Captured | Voided | Refunded | PartRefunded | RefundRefused


def conclude(payment: Payment, outcome: Outcome, now: datetime) -> Decision:
    """The outcome of a call is known. Raises `Impossible` if it contradicts the payment's state."""
    match outcome:
        case Authorized(payment_id, held):
            return _authorized(payment, payment_id, held)
        case ActionRequired():
            return _action_required(payment, outcome)
        case Declined(code):
            return _declined(payment, code)
        case Captured(taken):
            return _captured(payment, taken)
        case Voided(held):
            return _voided(payment, held=held)
        case Refunded(amount):
            return _refunded(payment, amount, now)
        case RefundRefused(code):
            return refuse_refund(payment, code, now)
        case PartRefunded():
            raise _impossible(payment, "refunded in part")


def _authorized(payment: Payment, payment_id: str, held: Money | None) -> Decision:
    if payment.payment_id == payment_id and payment.state != "action_required":
        return NOTHING
    if payment.state not in ("authorizing", "action_required"):
        raise _impossible(payment, "authorized")
    payment.state, payment.payment_id, payment.action_url = "authorized", payment_id, None
    if not _is_total(payment, held):
        return Decision((payment.declined_event(AMOUNT_MISMATCH),), payment.start("voiding", "void"))
    authorized = events.authorized(*payment.order_and_payment_id())
    decision = NOTHING
    if payment.cancelled:
        decision = payment.cancel()
    elif payment.stock_reserved:
        decision = payment.reserve()
    return Decision((authorized,), decision.call)


def _action_required(payment: Payment, action: ActionRequired) -> Decision:
    if payment.payment_id == action.payment_id:
        return NOTHING
    if payment.state != "authorizing":
        raise _impossible(payment, "action required")
    payment.payment_id = action.payment_id
    if payment.cancelled:
        return Decision(call=payment.start("voiding", "void"))
    order, _ = payment.order_and_payment_id()
    payment.state = "action_required"
    payment.action_url, payment.action_expires_at = action.url, min(action.expires_at, order.deadline)
    return Decision((payment.action_required_event(),), "confirm")


def _declined(payment: Payment, code: str) -> Decision:
    if payment.is_given_back or payment.state == "declined":
        return NOTHING
    if payment.state == "authorizing":
        payment.state = "declined"
        return Decision((payment.declined_event(code),))
    if payment.state in ("action_required", "capturing"):
        # Without the void the shopper might still confirm, with another card.
        return Decision((payment.declined_event(code),), payment.start("voiding", "void"))
    raise _impossible(payment, "declined")


def _captured(payment: Payment, taken: Money | None) -> Decision:
    if payment.was_captured:
        return NOTHING
    if payment.state == "voiding":
        return Decision(call=payment.start("refunding", "refund"))
    if payment.state != "capturing":
        raise _impossible(payment, "captured")
    if not _is_total(payment, taken):
        return Decision((payment.declined_event(AMOUNT_MISMATCH),), payment.start("refunding", "refund"))
    return payment.pay()


def _voided(payment: Payment, *, held: bool) -> Decision:
    """If no money was ever held, `payment.voided` is not published."""
    if payment.state in ("voided", "declined"):
        return NOTHING
    if payment.state != "voiding":
        raise _impossible(payment, "voided")
    payment.state = "voided" if held else "declined"
    return Decision((events.voided(*payment.order_and_payment_id()),)) if held else NOTHING


def _refunded(payment: Payment, amount: Money | None, now: datetime) -> Decision:
    """If the amount is not what was left, somebody has refunded at the provider, or a refund has bounced: the
    payment is looked up first, and what is missing is refunded later."""
    if payment.state == "refunded":
        return NOTHING
    if payment.state == "refund_failed":  # the payment was looked up first, and a refund has bounced since
        return payment.look_up()
    if payment.state != "refunding":
        raise _impossible(payment, "refunded")
    if amount is not None and amount.amount == payment.left:
        return payment.complete_refund()
    payment.refund_at = now + REFUND_RETRY_AFTER
    return payment.look_up()


def refuse_refund(payment: Payment, code: str, now: datetime) -> Decision:
    """The refund is retried when the provider has forgotten its key. If the payment was looked up first, it
    may be known already that somebody has refunded all of it, even if that has bounced since."""
    if payment.state in ("refunded", "refund_failed"):
        return NOTHING
    if payment.state != "refunding":
        raise _impossible(payment, "refund refused")
    payment.state = "refund_failed"
    if payment.code != AMOUNT_MISMATCH:
        payment.code = code
    payment.refunds_refused += 1
    payment.refund_at = now + REFUND_RETRY_AFTER
    return payment.look_up() if code in DISPUTED else NOTHING


def note_lookup(payment: Payment, news: int) -> Decision:
    """The payment was looked up when `news` notices had come: look it up again if there have been more."""
    if payment.news > news:
        return Decision(call="look")
    payment.news = 0
    return NOTHING


def lapse(payment: Payment) -> Decision:
    """A lookup found that the money is no longer held, although the shop has not voided it. During a capture
    or void, the outcome of that call decides."""
    if payment.state != "authorized":
        return NOTHING
    return Decision((payment.declined_event("canceled"),), payment.start("voiding", "void"))


def _is_total(payment: Payment, moved: Money | None) -> bool:
    order, _ = payment.order_and_payment_id()
    return moved == order.total


def _impossible(payment: Payment, outcome: str) -> Impossible:
    return Impossible(f"{outcome} while {payment.state}")
