"""Payment's steps: what it does on an order's events and on the outcomes of provider calls."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Intent, Tx
from contracts import (
    OrderAnonymised,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderRefundSettled,
    OrderReturned,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    SagaNudged,
    StockReserved,
)
from payment import bounces, disputes, outcomes, refunds
from payment.disputes import Dispute
from payment.domain import Decision, Impossible, Payment
from payment.lookups import Found, FoundDispute, Reconciliation, Stray
from payment.outcomes import Outcome, PartRefunded, RefundRefused
from payment.reconciliation import Compared
from payment.refunds import Refund
from payment.stripe_requests import (
    LIST,
    LOOKUP,
    REFUND_PART,
    call_intent,
    lookup_intent,
    page_intent,
    part_intent,
)

log = structlog.get_logger()


def _rows(intent: Intent) -> Iterable[tuple[type, Any]]:
    if intent.kind == LIST:
        return []
    if intent.kind == REFUND_PART:
        return [(Payment, UUID(intent.payload["order_id"])), (Refund, intent.subject)]
    return [(Payment, intent.subject)]


steps = Steps("payment", locks=lambda event: [(Payment, event.order_id)])
intents = Intents(locks=_rows)
participant = Participant("payment", steps=[steps], intents=intents)


@steps.on(OrderCreated, publishes=[PaymentDeclined, OrderPaid])
async def authorize_payment(event: OrderCreated, tx: Tx) -> None:
    """Authorize the order's total, unless it was cancelled already; a free order needs no call."""
    payment = await _payment(event.order_id, tx)
    if event.is_long_over(tx.now):
        payment.refuse()
    else:
        apply(payment, payment.authorize(event), tx)


@steps.on(StockReserved, publishes=[OrderPaid])
async def capture_payment(event: StockReserved, tx: Tx) -> None:
    """Capture the money once it is authorized, too; a free order is paid at once."""
    payment = await _payment(event.order_id, tx)
    apply(payment, payment.reserve(), tx)


@steps.on(OrderCancelled, publishes=[PaymentRefunded], compensates=authorize_payment)
async def give_money_back(event: OrderCancelled, tx: Tx) -> None:
    """Never authorize, void or refund, whichever is still possible; a paid free order is refunded at once."""
    payment = await _payment(event.order_id, tx)
    apply(payment, refunds.cancel(payment, await _refunds(payment, tx)), tx)


@steps.on(OrderReturned, locks=lambda event: [(Payment, event.order_id), (Refund, event.return_id)])
async def refund_part(event: OrderReturned, tx: Tx) -> None:
    """Refund a part of the money, once, unless all of it is refunded anyway."""
    if await tx.get(Refund, event.return_id) is not None:
        return
    payment = await tx.get(Payment, event.order_id)
    if payment is None:  # retried, then dead-lettered: an operator must see it
        raise Impossible(f"return of unknown order {event.order_id}")
    refund = refunds.begin(payment, event, tx.now)
    tx.add(refund)
    if refund.state == "refunding":
        tx.intend(part_intent(refund, payment, tx.now))


@steps.on(OrderRefundSettled)
async def settle_refund(event: OrderRefundSettled, tx: Tx) -> None:
    """Do not repeat a bounced refund any more: the shopper has received the money in another way."""
    payment = await tx.get(Payment, event.order_id)
    if payment is None:
        raise Impossible(f"refund of unknown order {event.order_id} was settled")
    known = {one.refund_id: one for one in await _refunds(payment, tx)}
    if not bounces.settle(payment, event.refund_id, known):
        log.error("refund settled although its repeat succeeded", refund_id=str(event.refund_id))


@steps.on(OrderAnonymised)
async def erase_personal_data(event: OrderAnonymised, tx: Tx) -> None:
    """Erase the address and where the order was shipped to; the payment stays for the books."""
    payment = await tx.get(Payment, event.order_id)
    if payment is not None:
        payment.anonymise()


@steps.on(
    SagaNudged,
    publishes=[
        PaymentActionRequired,
        PaymentAuthorized,
        PaymentDeclined,
        OrderPaid,
        PaymentVoided,
        PaymentRefunded,
        PaymentRefundedInPart,
        PaymentRefundFailed,
        PaymentDisputed,
    ],
)
async def republish_events(event: SagaNudged, tx: Tx) -> None:
    """Republish the payment's events, retry calls whose outcome is unknown, and refunds that were refused."""
    payment = await tx.get(Payment, event.order_id)
    if payment is None:
        return
    tx.retry_now(event.order_id)
    tx.publish(*payment.events_to_republish())
    if payment.refund_at is not None and payment.refund_at <= tx.now:
        apply(payment, payment.retry_refund(), tx)
    for refund in await _refunds(payment, tx):
        _republish_refund(payment, refund, tx)
    for dispute in (await tx.get_many(Dispute, [UUID(one) for one in payment.disputes])).values():
        tx.publish(disputes.payment_disputed(payment, dispute))


def _republish_refund(payment: Payment, refund: Refund, tx: Tx) -> None:
    tx.retry_now(refund.refund_id)
    if refund.state == "refunded":
        tx.publish(refunds.refunded_in_part(payment, refund))
    elif refund.state == "bounced":
        tx.publish(refunds.refund_failed(payment, refund))
        repeated = bounces.repeat(payment, refund)
        if repeated is not None:
            tx.add(repeated)
            tx.intend(part_intent(repeated, payment, tx.now))
    elif refund.refund_at is not None and refund.refund_at <= tx.now:
        retry_part(payment, refund, tx)


@intents.on_outcome("refund", publishes=[PaymentRefunded])
@intents.on_outcome("void", publishes=[PaymentVoided])
@intents.on_outcome("capture", publishes=[OrderPaid, PaymentDeclined])
@intents.on_outcome("confirm", publishes=[PaymentAuthorized, PaymentDeclined])
@intents.on_outcome("authorize", publishes=[PaymentAuthorized, PaymentActionRequired, PaymentDeclined])
async def note_outcome(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    payment = await _payment(intent.subject, tx)
    apply(payment, outcomes.conclude(payment, outcome, tx.now), tx)
    if isinstance(outcome, RefundRefused):
        log.error("refund refused", code=outcome.code)


@intents.on_outcome(REFUND_PART, publishes=[PaymentRefundedInPart, PaymentRefunded])
async def note_refund_part(intent: Intent, outcome: PartRefunded | RefundRefused, tx: Tx) -> None:
    payment = await _payment(UUID(intent.payload["order_id"]), tx)
    refund = await tx.get(Refund, intent.subject)
    assert refund is not None, "it was committed with its intent"
    all_refunds = await _refunds(payment, tx)
    apply(payment, refunds.conclude(payment, refund, outcome, all_refunds, tx.now), tx)
    if refund.state == "refund_failed":
        log.error("refund refused", code=refund.code, refund_id=str(refund.refund_id))


@intents.on_outcome(
    LOOKUP,
    publishes=[PaymentDeclined, PaymentDisputed, PaymentRefunded, PaymentRefundedInPart, PaymentRefundFailed],
)
async def note_lookup(intent: Intent, found: Found, tx: Tx) -> None:
    payment = await tx.get(Payment, intent.subject)
    if payment is None:
        log.warning("lookup of pruned payment", payment_id=found.payment_id)
        return
    apply(payment, outcomes.note_lookup(payment, intent.payload["news"]), tx)
    if found.status == "canceled":
        apply(payment, outcomes.lapse(payment), tx)
    elif found.status == "succeeded" and payment.state == "authorized":
        # Nothing to do: our own capture, or our void if the order is cancelled, will find the money
        # captured, and the order is paid, or refunded.
        log.warning("payment captured at the provider", payment_id=found.payment_id)
    if found.refunds and payment.was_captured:
        await _note_refunds(payment, found, tx)
    for dispute in found.disputes:
        await _note_dispute(payment, dispute, tx)


@intents.on_outcome(LIST)
async def note_page(intent: Intent, compared: Compared, tx: Tx) -> None:
    for order_id, payment_id in sorted(compared.lookups.items()):
        tx.intend(lookup_intent(order_id, payment_id))
    for stray in compared.strays:
        log.warning("payment of no order", payment_id=stray.payment_id, order_id=stray.order_id)
        tx.add_once(stray)
    for stray in (await tx.get_many(Stray, compared.settled)).values():
        stray.settled_at = tx.now
    if compared.after is not None:
        tx.intend(page_intent(compared.name, intent.payload["since"], compared.after))
    elif (reading := await tx.get(Reconciliation, compared.name)) is not None:
        reading.ended_at = reading.began_at


async def _note_refunds(payment: Payment, found: Found, tx: Tx) -> None:
    ids = {bounces.refund_id_of(one) for one in found.refunds} | {UUID(one) for one in payment.refunds}
    differences = bounces.compare(payment, found, await tx.get_many(Refund, sorted(ids)), tx.now)
    for refund in differences.new:
        tx.add(refund)
    for event in differences.events:
        log.warning("refunds at the provider differ", kind=event.type, refund_id=str(event.subject))
    tx.publish(*differences.events)
    apply(payment, differences.decision, tx)


async def _note_dispute(payment: Payment, found: FoundDispute, tx: Tx) -> None:
    known = await tx.get(Dispute, disputes.dispute_id_of(found.id))
    is_changed = disputes.is_changed(known, found)
    if known is None:
        if found.amount is None:
            log.error("dispute in another currency", dispute=found.id)
            return
        known = disputes.new_dispute(payment, found, found.amount, tx.now)
        payment.disputes = (*payment.disputes, str(known.dispute_id))
        tx.add(known)
    elif is_changed:
        disputes.update(known, found, tx.now)
    is_lost = known.status == disputes.LOST and disputes.lose(payment, known)
    if is_lost or (is_changed and known.status in disputes.ENDED):
        refunds.retry_soon(payment, await _refunds(payment, tx), tx.now)
    if is_changed:
        log.warning("payment disputed", dispute=found.id, status=found.status, reason=found.reason)
        tx.publish(disputes.payment_disputed(payment, known))


async def _payment(order_id: UUID, tx: Tx) -> Payment:
    payment = await tx.get(Payment, order_id)
    if payment is None:
        payment = Payment(order_id)
        tx.add(payment)
    return payment


async def _refunds(payment: Payment, tx: Tx) -> list[Refund]:
    """The partial refunds; nearly all payments have none, and no query is made."""
    if not payment.refunds:
        return []
    return list((await tx.get_many(Refund, [UUID(one) for one in payment.refunds])).values())


def retry_part(payment: Payment, refund: Refund, tx: Tx) -> None:
    """Retry a partial refund that was refused."""
    if refunds.retry(payment, refund, tx.now):
        tx.intend(part_intent(refund, payment, tx.now))


def apply(payment: Payment, decision: Decision, tx: Tx) -> None:
    """Publish the decision's events, and intend its call."""
    tx.publish(*decision.events)
    if decision.call is not None:
        tx.intend(call_intent(decision.call, payment, tx.now))
