"""What payment does on hearing of an order, and what it says once the provider has answered."""

from uuid import UUID

import structlog

from chassis.intents import Intents
from chassis.steps import Steps
from chassis.topology import Participant
from chassis.tx import Intent, Tx
from contracts import (
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    PaymentVoided,
    SagaNudged,
    StockReserved,
)
from payment import calls, disputes
from payment.disputes import Dispute
from payment.domain import Next, Payment
from payment.found import Found, FoundDispute
from payment.outcomes import Outcome, RefundRefused

log = structlog.get_logger()

steps = Steps("payment", locks=lambda event: [(Payment, event.order_id)])
intents = Intents(locks=lambda intent: [(Payment, intent.subject)])
participant = Participant("payment", steps=[steps], intents=intents)


@steps.on(OrderCreated, says=[PaymentDeclined, OrderPaid])
async def authorize_payment(event: OrderCreated, tx: Tx) -> None:
    """Hold the money, unless the order is off already; of a free order there is none."""
    payment = await _payment(event.order_id, tx)
    if event.is_long_over(tx.now):
        payment.refuse()
    else:
        follow(payment, payment.authorize(event), tx)


@steps.on(StockReserved, says=[OrderPaid])
async def capture_payment(event: StockReserved, tx: Tx) -> None:
    """Take the money once it is held, too, and the order still on; a free order is paid at once."""
    payment = await _payment(event.order_id, tx)
    follow(payment, payment.reserve(), tx)


@steps.on(OrderCancelled, says=[PaymentRefunded], compensates=authorize_payment)
async def give_money_back(event: OrderCancelled, tx: Tx) -> None:
    """Refuse, void or refund, whichever is still possible; a free order's nothing goes back at once."""
    payment = await _payment(event.order_id, tx)
    follow(payment, payment.cancel(), tx)


@steps.on(
    SagaNudged,
    says=[
        PaymentActionRequired,
        PaymentAuthorized,
        PaymentDeclined,
        OrderPaid,
        PaymentVoided,
        PaymentRefunded,
    ],
)
async def say_again(event: SagaNudged, tx: Tx) -> None:
    """Say again how the money stands; ask the provider what is not known, or for a refund that it refused."""
    payment = await tx.get(Payment, event.order_id)
    if payment is not None:
        tx.hasten(event.order_id)
        tx.publish(*payment.restate())
        if payment.refund_at is not None and payment.refund_at <= tx.now:
            follow(payment, payment.refund_again(), tx)


@intents.settled("authorize", says=[PaymentAuthorized, PaymentActionRequired, PaymentDeclined])
async def note_authorization(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.settled("confirm", says=[PaymentAuthorized, PaymentDeclined])
async def note_confirmation(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.settled("capture", says=[OrderPaid, PaymentDeclined])
async def note_capture(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.settled("void", says=[PaymentVoided])
async def note_void(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)


@intents.settled("refund", says=[PaymentRefunded])
async def note_refund(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    await _conclude(intent, outcome, tx)
    if isinstance(outcome, RefundRefused):
        log.error("refund refused", code=outcome.code)


@intents.settled("look", says=[PaymentDeclined, PaymentDisputed])
async def note_news(intent: Intent, found: Found, tx: Tx) -> None:
    payment = await tx.get(Payment, intent.subject)
    if payment is None:
        log.warning("news of a payment that is forgotten", payment_id=found.payment_id)
        return
    follow(payment, payment.looked_up(intent.payload["news"]), tx)
    if found.status == "canceled":
        follow(payment, payment.lapse(), tx)
    for dispute in found.disputes:
        await _note_dispute(payment, dispute, tx)


async def _note_dispute(payment: Payment, found: FoundDispute, tx: Tx) -> None:
    known = await tx.get(Dispute, disputes.known_as(found.id))
    if not disputes.is_news(known, found):
        return
    if known is None:
        if found.amount is None:
            log.error("disputed in another currency", dispute=found.id)
            return
        known = disputes.opened(payment, found, found.amount, tx.now)
        tx.add(known)
    disputes.turned(known, found, tx.now)
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


def follow(payment: Payment, follows: Next, tx: Tx) -> None:
    """Say and intend what follows."""
    tx.publish(*follows.say)
    if follows.call is not None:
        tx.intend(calls.intent(follows.call, payment, tx.now))
