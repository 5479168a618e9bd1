"""Notification's part in the saga: decide which mail an event calls for, and intend to send it."""

from typing import Protocol, cast
from uuid import UUID

from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import Participant
from chassis.saga.tx import Intent, Tx
from contracts import (
    ConfirmationRequested,
    Event,
    MailResendRequested,
    OrderAnonymised,
    OrderCancelled,
    OrderPaid,
    PasswordChanged,
    PasswordResetRequested,
    PaymentRefunded,
    PaymentRefundedInPart,
    PaymentRefundFailed,
    PaymentVoided,
    UserDeleted,
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
    notice,
    receipt,
    refund,
    refund_failed,
    refund_failure_id,
    refund_in_part,
    token,
)

steps = Steps("notification", locks=lambda event: [(Correspondence, event.about)])
intents = Intents(locks=lambda intent: [(Correspondence, intent.subject)])
participant = Participant("notification", steps=[steps], intents=intents)


class Addressed(Protocol):
    """An event with a contact."""

    @property
    def subject(self) -> UUID: ...

    @property
    def contact(self) -> str | None: ...


@steps.on(PaymentVoided)
async def note_void(event: PaymentVoided, tx: Tx) -> None:
    """Record that money was held, and send the cancellation mail that was withheld until then."""
    await _money_was_held(await _correspondence(tx, event.order_id), tx)


@steps.on(OrderPaid)
async def send_receipt(event: OrderPaid, tx: Tx) -> None:
    """Send the receipt, unless the order is known to be cancelled."""
    correspondence = await _correspondence(tx, event.order_id)
    _send("receipt", event, receipt(event), correspondence, tx)
    await _money_was_held(correspondence, tx)


@steps.on(OrderCancelled, compensates=send_receipt)
async def send_cancellation(event: OrderCancelled, tx: Tx) -> None:
    """Mail why it was cancelled and whether money comes back, unless a guest never paid; stop an unsent
    receipt."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True
    content = cancellation(event, paid=event.was_paid or correspondence.paid)
    if event.guest and not event.was_paid and correspondence.withhold("cancellation"):
        payload = _payload(event, content, tx)
        key = Intent("cancellation", event.order_id).key
        tx.add(KeptMail(key, "cancellation", event.order_id, payload, "withheld", None, tx.now))
        return
    _send("cancellation", event, content, correspondence, tx)


@steps.on(PaymentRefunded)
async def send_refund(event: PaymentRefunded, tx: Tx) -> None:
    """Mail that the money is on its way back; not for a free order."""
    correspondence = await _correspondence(tx, event.order_id)
    correspondence.cancelled = True  # only a cancelled order is refunded as a whole
    if event.total.amount:  # 0: free, or refunded in parts, which have mails of their own
        _send("refund", event, refund(event), correspondence, tx)
    await _money_was_held(correspondence, tx)


@steps.on(PaymentRefundedInPart, locks=lambda event: [(Correspondence, event.refund_id)])
async def send_partial_refund(event: PaymentRefundedInPart, tx: Tx) -> None:
    """Mail that a part of the money is on its way back, once for each such refund."""
    correspondence = await _correspondence(tx, event.refund_id)
    _send("refund", event, refund_in_part(event), correspondence, tx)


@steps.on(PaymentRefundFailed, locks=lambda event: [(Correspondence, refund_failure_id(event.refund_id))])
async def send_refund_failure(event: PaymentRefundFailed, tx: Tx) -> None:
    """Mail that the refund failed and the shop will get in touch, once for each refund."""
    subject_id = refund_failure_id(event.refund_id)
    correspondence = await _correspondence(tx, subject_id)
    if correspondence.intend("refund", event.contact):
        tx.intend(Intent("refund", subject_id, _payload(event, refund_failed(event), tx)))


@steps.on(UserRegistered)
async def welcome_user(event: UserRegistered, tx: Tx) -> None:
    """Welcome the new account."""
    _send("welcome", event, token(event), await _correspondence(tx, event.user_id), tx)


def by_request(event: Event) -> list[tuple[type, UUID]]:
    """The locks of a mail that an account may get any number of times: each is a correspondence of its
    own."""
    return [(Correspondence, event.subject)]


@steps.on(PasswordResetRequested, locks=by_request)
async def send_password_reset(event: PasswordResetRequested, tx: Tx) -> None:
    """Mail the token by which to choose a new password."""
    content = notice("password_reset", event)
    _send("account", event, content, await _correspondence(tx, event.request_id), tx)


@steps.on(ConfirmationRequested, locks=by_request)
async def send_confirmation(event: ConfirmationRequested, tx: Tx) -> None:
    """Mail another token by which to confirm the address."""
    content = notice("confirmation", event)
    _send("account", event, content, await _correspondence(tx, event.request_id), tx)


@steps.on(PasswordChanged, locks=by_request)
async def send_password_changed(event: PasswordChanged, tx: Tx) -> None:
    """Mail that the password was changed, so that the owner notices if somebody else did it."""
    content = notice("password_changed")
    _send("account", event, content, await _correspondence(tx, event.request_id), tx)


@steps.on(UserDeleted)
async def take_leave(event: UserDeleted, tx: Tx) -> None:
    """Mail that the account was deleted, and erase what is kept about it."""
    correspondence = await _correspondence(tx, event.user_id)
    _send("account", event, notice("deleted"), correspondence, tx)
    correspondence.anonymised = True


@steps.on(OrderAnonymised)
async def erase_personal_data(event: OrderAnonymised, tx: Tx) -> None:
    """Send no mail about the order any more; a periodic job deletes those that were kept."""
    (await _correspondence(tx, event.order_id)).anonymised = True


@steps.on(MailResendRequested)
async def resend_mail(event: MailResendRequested, tx: Tx) -> None:
    """Send an undeliverable mail again, once for each request."""
    kept = await tx.get(KeptMail, Intent(event.reason, event.subject_id).key)
    if kept is not None and kept.resend(event.resend_id):
        _send_kept(kept, await _correspondence(tx, event.subject_id), tx)


@intents.on_outcome("receipt")
@intents.on_outcome("cancellation")
@intents.on_outcome("refund")
@intents.on_outcome("welcome")
async def record_outcome(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    correspondence = await _correspondence(tx, intent.subject)
    correspondence.record(cast("Reason", intent.kind), outcome.fate)
    if outcome.fate not in UNDELIVERABLE and not intent.payload.get("kept"):
        return
    kept = await tx.get(KeptMail, intent.key)
    if kept is not None:
        kept.record(outcome, tx.now)
    elif outcome.fate in UNDELIVERABLE:
        payload = dict(intent.payload)
        tx.add(KeptMail(intent.key, intent.kind, intent.subject, payload, outcome.fate, outcome.why, tx.now))


@intents.on_outcome("account")
async def record_account_outcome(intent: Intent, outcome: Outcome, tx: Tx) -> None:
    """Such a mail is not kept for an operator: its token expires soon, and she can ask for another."""
    correspondence = await _correspondence(tx, intent.subject)
    correspondence.record("account", outcome.fate)


async def _money_was_held(correspondence: Correspondence, tx: Tx) -> None:
    correspondence.held = True
    if correspondence.mails.get("cancellation") == "withheld":
        kept = await tx.get(KeptMail, Intent("cancellation", correspondence.subject_id).key)
        if kept is not None:
            kept.payload = {**kept.payload, "paid": kept.payload["paid"] or correspondence.paid}
            _send_kept(kept, correspondence, tx)


def _send_kept(kept: KeptMail, correspondence: Correspondence, tx: Tx) -> None:
    """Intend a kept mail, as if it had been written now."""
    kept.record(Outcome("intended"), tx.now)
    correspondence.record(cast("Reason", kept.reason), "intended")
    changed = {"written_at": tx.now.isoformat(), "kept": True}
    tx.intend(Intent(kept.reason, kept.subject_id, {**kept.payload, **changed}))


def _send(reason: Reason, event: Addressed, content: Content, correspondence: Correspondence, tx: Tx) -> None:
    if correspondence.intend(reason, event.contact):
        tx.intend(Intent(reason, event.subject, _payload(event, content, tx)))


def _payload(event: Addressed, content: Content, tx: Tx) -> dict[str, object]:
    return {**content, "contact": event.contact, "written_at": tx.now.isoformat()}


async def _correspondence(tx: Tx, subject_id: UUID) -> Correspondence:
    correspondence = await tx.get(Correspondence, subject_id)
    if correspondence is None:
        correspondence = Correspondence(subject_id)
        tx.add(correspondence)
    return correspondence
