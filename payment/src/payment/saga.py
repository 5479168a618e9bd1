"""What payment does on hearing of an order, and what it says once the provider has answered."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Intent, Tx
from contracts import (
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
from payment import bounces, calls, disputes, reconciliation, refunds
from payment.disputes import Dispute
from payment.domain import Impossible, Next, Payment
from payment.found import Found, FoundDispute
from payment.outcomes import Outcome, PartRefunded, RefundRefused
from payment.reconciliation import Compared, Reconciliation, Stray
from payment.refunds import Refund

log = structlog.get_logger()


def _rows(intent: Intent) -> Iterable[tuple[type, Any]]:
    if intent.kind == reconciliation.KIND:
        return []
    if intent.kind == calls.PART:
        return [(Payment, UUID(intent.payload["order_id"])), (Refund, intent.subject)]
    return [(Payment, intent.subject)]


steps = Steps("payment", locks=lambda event: [(Payment, event.order_id)])
intents = Intents(locks=_rows)
participant = Participant("payment", steps=[steps], intents=intents)


@steps.on(OrderCreated, publishes=[PaymentDeclined, OrderPaid])
async def authorize_payment(event: OrderCreated, tx: Tx) -> None:
    """Hold the money, unless the order is off already; of a free order there is none."""
    payment = await _payment(event.order_id, tx)
    if event.is_long_over(tx.now):
        payment.refuse()
    else:
        follow(payment, payment.authorize(event), tx)


@steps.on(StockReserved, publishes=[OrderPaid])
async def capture_payment(event: StockReserved, tx: Tx) -> None:
    """Take the money once it is held, too, and the order still on; a free order is paid at once."""
    payment = await _payment(event.order_id, tx)
    follow(payment, payment.reserve(), tx)


@steps.on(OrderCancelled, publishes=[PaymentRefunded], compensates=authorize_payment)
async def give_money_back(event: OrderCancelled, tx: Tx) -> None:
    """Refuse, void or refund, whichever is still possible; a free order's nothing goes back at once."""
    payment = await _payment(event.order_id, tx)
    follow(payment, refunds.cancel(payment, await _refunds(payment, tx)), tx)


@steps.on(OrderReturned, locks=lambda event: [(Payment, event.order_id), (Refund, event.return_id)])
async def refund_part(event: OrderReturned, tx: Tx) -> None:
    """Give a part of the money back, once, unless all of it goes back anyhow."""
    if await tx.get(Refund, event.return_id) is not None:
        return
    payment = await tx.get(Payment, event.order_id)
    if payment is None:  # retried, then dead-lettered: an operator must see it
        raise Impossible(f"something goes back of order {event.order_id}, which is not known here")
    refund = refunds.begin(payment, event, tx.now)
    tx.add(refund)
    if refund.state == "refunding":
        tx.intend(calls.part(refund, payment, tx.now))


@steps.on(OrderRefundSettled)
async def settle_refund(event: OrderRefundSettled, tx: Tx) -> None:
    """Make a refund that came back not again: the shopper has its money otherwise."""
    payment = await tx.get(Payment, event.order_id)
    if payment is None:
        raise Impossible(f"a refund of order {event.order_id} was settled, which is not known here")
    known = {one.refund_id: one for one in await _refunds(payment, tx)}
    if not bounces.settle(payment, event.refund_id, known):
        log.error("refund settled, though it was made again", refund_id=str(event.refund_id))


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
async def say_again(event: SagaNudged, tx: Tx) -> None:
    """Say again how the money stands; ask the provider what is not known, or for a refund that it refused."""
    payment = await tx.get(Payment, event.order_id)
    if payment is not None:
        tx.retry_now(event.order_id)
        tx.publish(*payment.restate())
        if payment.refund_at is not None and payment.refund_at <= tx.now:
            follow(payment, payment.refund_again(), tx)
        for refund in await _refunds(payment, tx):
            tx.retry_now(refund.refund_id)
            if refund.state == "refunded":
                tx.publish(refunds.refunded_in_part(payment, refund))
            elif refund.state == "bounced":
                tx.publish(bounces.failed(payment, refund))
                _make_again(payment, refund, tx)
            elif refund.refund_at is not None and refund.refund_at <= tx.now:
                ask_again(payment, refund, tx)
        for dispute in (await tx.get_many(Dispute, [UUID(one) for one in payment.disputes])).values():
            tx.publish(disputes.disputed(payment, dispute))


@intents.on_outcome("authorize", publishes=[PaymentAuthorized, PaymentActionRequired, PaymentDeclined])
async def note_authorization(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.on_outcome("confirm", publishes=[PaymentAuthorized, PaymentDeclined])
async def note_confirmation(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.on_outcome("capture", publishes=[OrderPaid, PaymentDeclined])
async def note_capture(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.on_outcome("void", publishes=[PaymentVoided])
async def note_void(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.on_outcome("refund", publishes=[PaymentRefunded])
async def note_refund(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)
    if isinstance(outcome, RefundRefused):
        log.error("refund refused", code=outcome.code)


@intents.on_outcome(calls.PART, publishes=[PaymentRefundedInPart, PaymentRefunded])
async def note_refund_part(intent: Intent, outcome: PartRefunded | RefundRefused, tx: Tx) -> None:
    payment = await _payment(UUID(intent.payload["order_id"]), tx)
    refund = await tx.get(Refund, intent.subject)
    assert refund is not None, "it was committed with its intent"
    all_refunds = await _refunds(payment, tx)
    follow(payment, refunds.conclude(payment, refund, outcome, all_refunds, tx.now), tx)
    if refund.state == "refund_failed":
        log.error("refund refused", code=refund.code, refund_id=str(refund.refund_id))


@intents.on_outcome(
    "look",
    publishes=[
        PaymentDeclined,
        PaymentDisputed,
        PaymentRefunded,
        PaymentRefundedInPart,
        PaymentRefundFailed,
    ],
)
async def note_news(intent: Intent, found: Found, tx: Tx) -> None:
    payment = await tx.get(Payment, intent.subject)
    if payment is None:
        log.warning("news of a payment that is forgotten", payment_id=found.payment_id)
        return
    follow(payment, payment.looked_up(intent.payload["news"]), tx)
    if found.status == "canceled":
        follow(payment, payment.lapse(), tx)
    elif found.status == "succeeded" and payment.state == "authorized":
        # Once its stock is reserved our capture finds it taken; if the order is off, our void does.
        log.warning("money taken by somebody at the provider", payment_id=found.payment_id)
    if found.refunds and payment.was_captured:
        await _note_refunds(payment, found, tx)
    for dispute in found.disputes:
        await _note_dispute(payment, dispute, tx)


@intents.on_outcome(reconciliation.KIND)
async def note_page(intent: Intent, compared: Compared, tx: Tx) -> None:
    for order_id, payment_id in sorted(compared.looks.items()):
        tx.intend(calls.look(order_id, payment_id))
    for stray in compared.strays:
        log.warning("money of no order here", payment_id=stray.payment_id, order_id=stray.order_id)
        tx.add_once(stray)
    for stray in (await tx.get_many(Stray, compared.settled)).values():
        stray.settled_at = tx.now
    if compared.after is not None:
        tx.intend(reconciliation.page(compared.name, intent.payload["since"], compared.after))
    elif (reading := await tx.get(Reconciliation, compared.name)) is not None:
        reading.ended_at = reading.began_at


async def _note_refunds(payment: Payment, found: Found, tx: Tx) -> None:
    ids = {bounces.known_as(one) for one in found.refunds} | {UUID(one) for one in payment.refunds}
    noted = bounces.compare(payment, found, await tx.get_many(Refund, sorted(ids)), tx.now)
    for refund in noted.new:
        tx.add(refund)
    for event in noted.events:
        log.warning("refunds at the provider differ", kind=event.type, refund_id=str(event.subject))
    tx.publish(*noted.events)
    follow(payment, noted.follows, tx)


async def _note_dispute(payment: Payment, found: FoundDispute, tx: Tx) -> None:
    known = await tx.get(Dispute, disputes.known_as(found.id))
    is_news = disputes.is_news(known, found)
    if known is None:
        if found.amount is None:
            log.error("disputed in another currency", dispute=found.id)
            return
        known = disputes.opened(payment, found, found.amount, tx.now)
        payment.disputes = (*payment.disputes, str(known.dispute_id))
        tx.add(known)
    elif is_news:
        disputes.turned(known, found, tx.now)
    is_lost = known.status == disputes.LOST and disputes.lose(payment, known)
    if is_lost or (is_news and known.status in disputes.ENDED):
        refunds.ask_soon(payment, await _refunds(payment, tx), tx.now)
    if is_news:
        log.warning("payment disputed", dispute=found.id, status=found.status, reason=found.reason)
        tx.publish(disputes.disputed(payment, known))


async def _conclude(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    payment = await _payment(intent.subject, tx)
    follow(payment, payment.conclude(outcome, tx.now), tx)


async def _payment(order_id: UUID, tx: Tx) -> Payment:
    payment = await tx.get(Payment, order_id)
    if payment is None:
        payment = Payment(order_id)
        tx.add(payment)
    return payment


async def _refunds(payment: Payment, tx: Tx) -> list[Refund]:
    """The parts that were asked for; for nearly all payments that is none, and nothing is read."""
    if not payment.refunds:
        return []
    return list((await tx.get_many(Refund, [UUID(one) for one in payment.refunds])).values())


def ask_again(payment: Payment, refund: Refund, tx: Tx) -> None:
    """Ask once more for a part that was refused."""
    if refunds.again(payment, refund, tx.now):
        tx.intend(calls.part(refund, payment, tx.now))


def _make_again(payment: Payment, refund: Refund, tx: Tx) -> None:
    repeat = bounces.again(payment, refund)
    if repeat is not None:
        tx.add(repeat)
        tx.intend(calls.part(repeat, payment, tx.now))


def follow(payment: Payment, follows: Next, tx: Tx) -> None:
    """Say and intend what follows."""
    tx.publish(*follows.say)
    if follows.call is not None:
        tx.intend(calls.intent(follows.call, payment, tx.now))
