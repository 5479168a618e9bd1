"""What notification does on hearing an event: it owes the shopper a letter, and intends to send it."""

from typing import Protocol, cast
from uuid import UUID

from chassis.intents import Intents
from chassis.steps import Steps
from chassis.topology import Participant
from chassis.tx import Intent, Tx
from contracts import OrderCancelled, OrderPaid, PaymentRefunded, UserRegistered
from notification.domain import (
    Content,
    Correspondence,
    Fate,
    Reason,
    cancellation,
    receipt,
    refund,
)

steps = Steps("notification", locks=lambda event: [(Correspondence, event.subject)])
intents = Intents(locks=lambda intent: [(Correspondence, intent.subject)])
participant = Participant("notification", steps=[steps], intents=intents)


class Addressed(Protocol):
    """An event that knows whom to tell."""

    @property
    def subject(self) -> UUID: ...

    @property
    def contact(self) -> str | None: ...


@steps.on(OrderPaid)
async def send_receipt(event: OrderPaid, tx: Tx) -> None:
    """Send the receipt, unless the order is known to be cancelled."""
    _write("receipt", event, receipt(event), await _correspondence(tx, event.order_id), tx)


@steps.on(OrderCancelled, compensates=send_receipt)
async def tell_of_cancellation(event: OrderCancelled, tx: Tx) -> None:
    """Tell the shopper why, and that money comes back; stop a receipt not yet sent."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True
    content = cancellation(event, paid=event.was_paid or correspondence.paid)
    _write("cancellation", event, content, correspondence, tx)


@steps.on(PaymentRefunded)
async def tell_of_refund(event: PaymentRefunded, tx: Tx) -> None:
    """Tell the shopper that the money is on its way back."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True  # only a cancelled order is refunded
    _write("refund", event, refund(event), correspondence, tx)


@steps.on(UserRegistered)
async def welcome_user(event: UserRegistered, tx: Tx) -> None:
    """Welcome the new account."""
    _write("welcome", event, {}, await _correspondence(tx, event.user_id), tx)


async def _note_fate(intent: Intent, fate: Fate, tx: Tx) -> None:
    correspondence = await _correspondence(tx, intent.subject)
    correspondence.end(cast("Reason", intent.kind), fate)


for _reason in ("receipt", "cancellation", "refund", "welcome"):
    intents.settled(_reason)(_note_fate)


def _write(
    reason: Reason, event: Addressed, content: Content, correspondence: Correspondence, tx: Tx
) -> None:
    if correspondence.begin(reason, event.contact):
        written = {"contact": event.contact, "written_at": tx.now.isoformat()}
        tx.intend(Intent(reason, event.subject, {**content, **written}))


async def _correspondence(tx: Tx, subject_id: UUID) -> Correspondence:
    correspondence = await tx.get(Correspondence, subject_id)
    if correspondence is None:
        correspondence = Correspondence(subject_id)
        tx.add(correspondence)
    return correspondence
