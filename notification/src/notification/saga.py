"""What notification does on hearing an event: it owes the shopper a letter, and intends to send it."""

from typing import Protocol, cast
from uuid import UUID

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Intent, Tx
from contracts import (
    MailResendRequested,
    OrderCancelled,
    OrderPaid,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    UserRegistered,
)
from notification.domain import (
    UNDELIVERABLE,
    Content,
    Correspondence,
    KeptMail,
    Outcome,
    Reason,
    cancellation,
    of_failure,
    receipt,
    refund,
    refund_failed,
    refund_in_part,
)

steps = Steps("notification", locks=lambda event: [(Correspondence, event.about)])
intents = Intents(locks=lambda intent: [(Correspondence, intent.subject)])
participant = Participant("notification", steps=[steps], intents=intents)


class Addressed(Protocol):
    """An event that knows whom to tell."""

    @property
    def subject(self) -> UUID: ...

    @property
    def contact(self) -> str | None: ...


@steps.on(PaymentVoided)
async def note_void(event: PaymentVoided, tx: Tx) -> None:
    """Note that money was held; send the cancellation that was withheld while none was known to be."""
    await _money_was_held(await _correspondence(tx, event.order_id), tx)


@steps.on(OrderPaid)
async def send_receipt(event: OrderPaid, tx: Tx) -> None:
    """Send the receipt, unless the order is known to be cancelled."""
    correspondence = await _correspondence(tx, event.order_id)
    _write("receipt", event, receipt(event), correspondence, tx)
    await _money_was_held(correspondence, tx)


@steps.on(OrderCancelled, compensates=send_receipt)
async def tell_of_cancellation(event: OrderCancelled, tx: Tx) -> None:
    """Tell the shopper why, and that money comes back, but not a guest who never paid; stop a receipt not
    yet sent."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True
    content = cancellation(event, paid=event.was_paid or correspondence.paid)
    if event.guest and not event.was_paid and correspondence.withhold("cancellation"):
        payload = _payload(event, content, tx)
        key = Intent("cancellation", event.order_id).key
        tx.add(KeptMail(key, "cancellation", event.order_id, payload, "withheld", None, tx.now))
        return
    _write("cancellation", event, content, correspondence, tx)


@steps.on(PaymentRefunded)
async def tell_of_refund(event: PaymentRefunded, tx: Tx) -> None:
    """Tell the shopper that the money is on its way back; of a free order there is none."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True  # only a cancelled order is refunded as a whole
    if event.total.amount:  # the shopper knows of the parts
        _write("refund", event, refund(event), correspondence, tx)
    await _money_was_held(correspondence, tx)


@steps.on(PaymentRefundedInPart, locks=lambda event: [(Correspondence, event.refund_id)])
async def tell_of_refund_in_part(event: PaymentRefundedInPart, tx: Tx) -> None:
    """Tell the shopper that a part of the money is on its way back, once for each such refund."""
    correspondence = await _correspondence(tx, event.refund_id)
    _write("refund", event, refund_in_part(event), correspondence, tx)


@steps.on(PaymentRefundFailed, locks=lambda event: [(Correspondence, of_failure(event.refund_id))])
async def tell_of_failed_refund(event: PaymentRefundFailed, tx: Tx) -> None:
    """Tell the shopper that the money came back, and that the shop gets in touch, once for each refund."""
    about = of_failure(event.refund_id)
    correspondence = await _correspondence(tx, about)
    if correspondence.begin("refund", event.contact):
        tx.intend(Intent("refund", about, _payload(event, refund_failed(event), tx)))


@steps.on(UserRegistered)
async def welcome_user(event: UserRegistered, tx: Tx) -> None:
    """Welcome the new account."""
    _write("welcome", event, {}, await _correspondence(tx, event.user_id), tx)


@steps.on(MailResendRequested)
async def send_again(event: MailResendRequested, tx: Tx) -> None:
    """Send a mail again that was undeliverable; once for each request."""
    kept = await tx.get(KeptMail, Intent(event.reason, event.subject_id).key)
    if kept is not None and kept.resend(event.resend_id):
        _take_up(kept, await _correspondence(tx, event.subject_id), tx)


async def _note_outcome(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    correspondence = await _correspondence(tx, intent.subject)
    correspondence.end(cast("Reason", intent.kind), outcome.fate)
    if outcome.fate not in UNDELIVERABLE and not intent.payload.get("kept"):
        return
    kept = await tx.get(KeptMail, intent.key)
    if kept is not None:
        kept.end(outcome, tx.now)
    elif outcome.fate in UNDELIVERABLE:
        payload = dict(intent.payload)
        tx.add(KeptMail(intent.key, intent.kind, intent.subject, payload, outcome.fate, outcome.why, tx.now))


for _reason in ("receipt", "cancellation", "refund", "welcome"):
    intents.settled(_reason)(_note_outcome)


async def _money_was_held(correspondence: Correspondence, tx: Tx) -> None:
    correspondence.held = True
    if correspondence.letters.get("cancellation") == "withheld":
        kept = await tx.get(KeptMail, Intent("cancellation", correspondence.subject_id).key)
        if kept is not None:
            kept.payload = {**kept.payload, "paid": kept.payload["paid"] or correspondence.paid}
            _take_up(kept, correspondence, tx)


def _take_up(kept: KeptMail, correspondence: Correspondence, tx: Tx) -> None:
    """What was kept is intended anew, from now on."""
    kept.end(Outcome("intended"), tx.now)
    correspondence.end(cast("Reason", kept.reason), "intended")
    again = {"written_at": tx.now.isoformat(), "kept": True}
    tx.intend(Intent(kept.reason, kept.subject_id, {**kept.payload, **again}))


def _write(
    reason: Reason, event: Addressed, content: Content, correspondence: Correspondence, tx: Tx
) -> None:
    if correspondence.begin(reason, event.contact):
        tx.intend(Intent(reason, event.subject, _payload(event, content, tx)))


def _payload(event: Addressed, content: Content, tx: Tx) -> dict[str, object]:
    return {**content, "contact": event.contact, "written_at": tx.now.isoformat()}


async def _correspondence(tx: Tx, subject_id: UUID) -> Correspondence:
    correspondence = await tx.get(Correspondence, subject_id)
    if correspondence is None:
        correspondence = Correspondence(subject_id)
        tx.add(correspondence)
    return correspondence
