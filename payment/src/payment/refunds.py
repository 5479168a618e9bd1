"""Partial refunds of an order's money: for a return, or because staff refund a part.

Each of them has its own row and its own call, so that it is made once, whatever else is refunded. The payment
has the sum of all; in the end the provider decides whether enough is left.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from contracts import Money, OrderReturned, PaymentRefundedInPart, PaymentRefundFailed
from payment.domain import (
    AMOUNT_MISMATCH,
    DISPUTED,
    NOTHING,
    REFUND_RETRY_AFTER,
    Decision,
    Impossible,
    Payment,
)
from payment.outcomes import PartRefunded, RefundRefused

RefundState = Literal["refunding", "refunded", "refund_failed", "bounced", "covered"]

# Refused by the shop, without a call: other refunds have left less than this one.
MORE_THAN_IS_LEFT = "more_than_is_left"
# Refused by the provider: nothing is left of the payment.
ALL_REFUNDED = "charge_already_refunded"


@dataclass(eq=False)
class Refund:
    """A refund of a part of the money.

    `by`: who decided it: `return`, `staff`, `provider` if it was made there, or `again` if it repeats the
    bounced refund `again_of`. `state`: `bounced` if it failed after it had succeeded, `covered` if it is no
    longer needed because its money was refunded otherwise. `code`, `refused`: why and how often it was
    refused or bounced. `refund_at`: when it is retried.
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
    """The refund for a return or of staff. Raises `Impossible` if the order's money was never captured."""
    refund = Refund(returned.return_id, payment.order_id, returned.amount.amount, returned.by)
    if not payment.was_captured:
        raise Impossible(f"refund requested while {payment.state}")
    if payment.is_given_back or not refund.amount:
        refund.state = "covered"
    else:
        _request(payment, refund, now)
    return refund


def retry(payment: Payment, refund: Refund, now: datetime) -> bool:
    """Retry a refused refund. Returns whether its call is to be made now."""
    if refund.state == "refund_failed" and refund.refund_at is not None:
        _request(payment, refund, now)
    return refund.state == "refunding"


def retry_soon(payment: Payment, refunds: Collection[Refund], now: datetime) -> None:
    """A dispute has ended: all refused refunds are due now, since it may have been the cause, and their
    refusals are counted from zero."""
    payment.refunds_refused = 0
    if payment.refund_at is not None:
        payment.refund_at = now
    for refund in refunds:
        if refund.state in ("refunding", "refund_failed"):
            refund.refused = 0
        if refund.refund_at is not None:
            refund.refund_at = now


def cancel(payment: Payment, refunds: Collection[Refund]) -> Decision:
    """The order is cancelled: refund all of its money, once the outcomes of all parts are known."""
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
) -> Decision:
    """The outcome of a part's call is known; `refunds` are all parts. Raises `Impossible` if it was known
    before."""
    if refund.state == "refunded" and isinstance(outcome, PartRefunded):
        return NOTHING
    if refund.state != "refunding":
        raise Impossible(f"refund ended while {refund.state}")
    match outcome:
        case PartRefunded(amount) if amount == amount_of(payment, refund):
            refund.state, refund.code, refund.refund_at = "refunded", None, None
            decision = Decision((refunded_in_part(payment, refund),))
        case PartRefunded(amount):
            _fail(payment, refund, AMOUNT_MISMATCH, gone=amount.amount if amount else refund.amount)
            decision = NOTHING
        case RefundRefused(code) if refund.again_of and code != ALL_REFUNDED and payment.state != "refunding":
            refund.state, refund.code = "bounced", code
            payment.set_refunded(refund.refund_id, 0)
            decision = NOTHING
        case RefundRefused(code) if payment.is_given_back or code == ALL_REFUNDED:
            _cover(payment, refund, code)
            decision = NOTHING
        case RefundRefused(code):
            _fail(payment, refund, code)
            refund.refund_at = now + REFUND_RETRY_AFTER
            decision = payment.look_up() if code in DISPUTED else NOTHING
    if not any(one.state in ("refunding", "bounced") for one in refunds):
        clear_bounces(payment)
    if payment.state != "refunding" or _are_open(refunds):
        return decision
    rest = payment.refund_rest()
    return Decision((*decision.events, *rest.events), rest.call)


def clear_bounces(payment: Payment) -> None:
    """All bounced money was refunded after all. A refund that was refused stays failed."""
    if payment.state == "refund_failed" and payment.refund_at is None:
        payment.state = "refunded"


def amount_of(payment: Payment, refund: Refund) -> Money:
    """The refund's amount, in the order's currency."""
    order, _ = payment.order_and_payment_id()
    return Money(amount=refund.amount, currency=order.total.currency)


def refunded_in_part(payment: Payment, refund: Refund) -> PaymentRefundedInPart:
    return PaymentRefundedInPart(**_fields(payment, refund), by=refund.by)


def refund_failed(payment: Payment, refund: Refund) -> PaymentRefundFailed:
    """The event of a bounced refund."""
    return PaymentRefundFailed(**_fields(payment, refund), code=refund.code or "unknown")


def _fields(payment: Payment, refund: Refund) -> dict[str, Any]:
    order, payment_id = payment.order_and_payment_id()
    return {
        "order_id": payment.order_id,
        "refund_id": refund.refund_id,
        "payment_id": payment_id,
        "amount": amount_of(payment, refund),
        "contact": order.contact,
        "number": order.number,
    }


def _request(payment: Payment, refund: Refund, now: datetime) -> None:
    if payment.is_given_back or not payment.left:
        _cover(payment, refund)
    elif refund.amount > payment.left:
        _fail(payment, refund, MORE_THAN_IS_LEFT)
        refund.refund_at = now + REFUND_RETRY_AFTER
    else:
        refund.state = "refunding"
        payment.set_refunded(refund.refund_id, refund.amount)


def _fail(payment: Payment, refund: Refund, code: str, gone: int = 0) -> None:
    refund.state, refund.code, refund.refund_at = "refund_failed", code, None
    refund.refused += 1
    payment.set_refunded(refund.refund_id, gone)


def _cover(payment: Payment, refund: Refund, code: str | None = None) -> None:
    refund.state, refund.refund_at = "covered", None
    refund.code = code or refund.code
    payment.set_refunded(refund.refund_id, 0)


def _are_open(refunds: Collection[Refund]) -> bool:
    return any(refund.state == "refunding" for refund in refunds)
