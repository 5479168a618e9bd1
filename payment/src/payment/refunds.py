"""A part of an order's money on its way back: for a return, or because staff give it back.

Each such refund has a row and a call of its own, so that it is made once, whatever else goes back. The
payment knows what all of them come to; whether there is enough left is for the provider to say last.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts import Money, OrderReturned, PaymentRefundedInPart
from payment.domain import (
    AMOUNT_MISMATCH,
    DISPUTED,
    NOTHING,
    REFUND_AGAIN_AFTER,
    Impossible,
    Next,
    Payment,
)
from payment.outcomes import PartRefunded, RefundRefused

RefundState = Literal["refunding", "refunded", "refund_failed", "bounced", "covered"]

# The provider was not asked: other refunds have left less than this one.
MORE_THAN_IS_LEFT = "more_than_is_left"
# The provider has nothing left of the payment to give back.
ALL_REFUNDED = "charge_already_refunded"


@dataclass(eq=False)
class Refund:
    """`by` is whose decision it was: `return`, `staff`, `provider` for one that was made there, `again` for
    one that makes another, `again_of`, once more. `bounced` is one that came back after it had gone back,
    `covered` one that is needed no more, since its money went back otherwise. `code` is why it was refused or
    came back, `refused` how often, `refund_at` when it is asked for again.
    """

    refund_id: UUID
    order_id: UUID
    amount: int
    by: str
    state: RefundState = "refunding"
    code: str | None = None
    refused: int = 0
    refund_at: datetime | None = None
    again_of: UUID | None = None


def begin(payment: Payment, returned: OrderReturned, now: datetime) -> Refund:
    """What is given back for something that goes back of the order. Raises `Impossible` when its money was
    never taken."""
    refund = Refund(returned.return_id, payment.order_id, returned.amount.amount, returned.by)
    if not payment.was_captured:
        raise Impossible(f"something goes back while {payment.state}")
    if payment.is_given_back or not refund.amount:
        refund.state = "covered"
    else:
        _ask(payment, refund, now)
    return refund


def again(payment: Payment, refund: Refund, now: datetime) -> bool:
    """A refused refund, after a while. Tells whether to ask for it now."""
    if refund.state == "refund_failed" and refund.refund_at is not None:
        _ask(payment, refund, now)
    return refund.state == "refunding"


def ask_soon(payment: Payment, refunds: Collection[Refund], now: datetime) -> None:
    """A dispute has ended: all that was refused, perhaps because of it, is due. What is refused from now on
    counts anew."""
    payment.refunds_refused = 0
    if payment.refund_at is not None:
        payment.refund_at = now
    for refund in refunds:
        if refund.state in ("refunding", "refund_failed"):
            refund.refused = 0
        if refund.refund_at is not None:
            refund.refund_at = now


def cancel(payment: Payment, refunds: Collection[Refund]) -> Next:
    """The order is off: all of its money goes back, once it is known which parts of it have."""
    for refund in refunds:
        if refund.state in ("refund_failed", "bounced"):
            _cover(payment, refund)
    return payment.cancel(waits=_are_open(refunds))


def conclude(
    payment: Payment,
    refund: Refund,
    outcome: PartRefunded | RefundRefused,
    refunds: Collection[Refund],
    now: datetime,
) -> Next:
    """The call for a part has ended; `refunds` are all parts. Raises `Impossible` when it had before."""
    if refund.state == "refunded" and isinstance(outcome, PartRefunded):
        return NOTHING
    if refund.state != "refunding":
        raise Impossible(f"refund ended while {refund.state}")
    match outcome:
        case PartRefunded(amount) if amount == money(payment, refund):
            refund.state, refund.code, refund.refund_at = "refunded", None, None
            follows = Next((refunded_in_part(payment, refund),))
        case PartRefunded(amount):
            _fail(payment, refund, AMOUNT_MISMATCH, gone=amount.amount if amount else refund.amount)
            follows = NOTHING
        case RefundRefused(code) if refund.again_of and code != ALL_REFUNDED and payment.state != "refunding":
            refund.state, refund.code = "bounced", code
            payment.count(refund.refund_id, 0)
            follows = NOTHING
        case RefundRefused(code) if payment.is_given_back or code == ALL_REFUNDED:
            _cover(payment, refund, code)
            follows = NOTHING
        case RefundRefused(code):
            _fail(payment, refund, code)
            refund.refund_at = now + REFUND_AGAIN_AFTER
            follows = payment.advance() if code in DISPUTED else NOTHING
    if not any(one.state in ("refunding", "bounced") for one in refunds):
        mend(payment)
    if payment.state != "refunding" or _are_open(refunds):
        return follows
    rest = payment.refund_rest()
    return Next((*follows.say, *rest.say), rest.call)


def mend(payment: Payment) -> None:
    """What had come back went back again, or otherwise. A refund that was refused is another matter."""
    if payment.state == "refund_failed" and payment.refund_at is None:
        payment.state = "refunded"


def money(payment: Payment, refund: Refund) -> Money:
    """What it gives back, in the order's currency."""
    assert payment.order is not None, "only what was taken is refunded"
    return Money(amount=refund.amount, currency=payment.order.total.currency)


def refunded_in_part(payment: Payment, refund: Refund) -> PaymentRefundedInPart:
    assert payment.order is not None, "only what was taken is refunded"
    return PaymentRefundedInPart(
        order_id=payment.order_id,
        refund_id=refund.refund_id,
        payment_id=payment.payment_id or "",
        amount=money(payment, refund),
        by=refund.by,
        contact=payment.order.contact,
        number=payment.order.number,
    )


def _ask(payment: Payment, refund: Refund, now: datetime) -> None:
    if payment.is_given_back or not payment.left:
        _cover(payment, refund)
    elif refund.amount > payment.left:
        _fail(payment, refund, MORE_THAN_IS_LEFT)
        refund.refund_at = now + REFUND_AGAIN_AFTER
    else:
        refund.state = "refunding"
        payment.count(refund.refund_id, refund.amount)


def _fail(payment: Payment, refund: Refund, code: str, gone: int = 0) -> None:
    refund.state, refund.code, refund.refund_at = "refund_failed", code, None
    refund.refused += 1
    payment.count(refund.refund_id, gone)


def _cover(payment: Payment, refund: Refund, code: str | None = None) -> None:
    refund.state, refund.refund_at = "covered", None
    refund.code = code or refund.code
    payment.count(refund.refund_id, 0)


def _are_open(refunds: Collection[Refund]) -> bool:
    return any(refund.state == "refunding" for refund in refunds)
