"""The checks of the second promise on mails: each that is owed is sent, and only once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from notification.operations import UNDELIVERABLE, refund_failure_id
from shop.ledger.evidence import ChargeRecord, Evidence, OrderRecord

_HOLDS = {"payment.authorized", "payment.voided", "order.paid"}


def every_mail_is_sent_once(evidence: Evidence) -> Iterator[str]:
    """No order has two receipts, cancellations or mails about one refund, unless an operator had one sent
    again."""
    resends = {(kept.subject_id, kept.reason): kept.resends for kept in evidence.kept}
    counted = Counter((mail.subject, mail.reason) for mail in evidence.mails if mail.subject and mail.reason)
    for (subject, reason), count in counted.items():
        if count > 1 + resends.get((subject or "", reason or ""), 0):
            yield f"{subject} was sent its {reason} {count} times"


def every_shopper_is_mailed(evidence: Evidence) -> Iterator[str]:
    """A paid order has its receipt, a cancelled one its cancellation, each refund its mail, or the mail is
    listed as undeliverable."""
    charges, known = evidence.charges_by_order, set(_accounted_for(evidence))
    for order in evidence.orders:
        for subject, reason in _owed(order, charges[order.order_id]):
            if (subject, reason) not in known:
                yield f"order {order.order_id} is {order.status}, the {reason} for {subject} was never sent"


def no_guest_is_mailed_for_nothing(evidence: Evidence) -> Iterator[str]:
    """A guest's order that neither held money nor was paid gets no mail: its address is unverified."""
    charges = evidence.charges_by_order
    mailed = {mail.order_id for mail in evidence.mails}
    for order in evidence.orders_of("cancelled"):
        if order.order_id in mailed and not any(_owed(order, charges[order.order_id])):
            yield f"order {order.order_id} never held money, and its guest was sent a mail"


def undeliverable(evidence: Evidence) -> Iterator[str]:
    """Mails that an operator can send again: they fail no check and are listed separately."""
    for kept in evidence.kept:
        if kept.fate in UNDELIVERABLE:
            yield f"{kept.reason}:{kept.subject_id} is {kept.fate.replace('_', ' ')}: {kept.why}"


def _owed(order: OrderRecord, charges: Sequence[ChargeRecord]) -> Iterator[tuple[str, str]]:
    """The subject and the reason of each mail."""
    if order.status == "paid":
        yield order.order_id, "receipt"
    # Whether it ever held money: the provider shows only current holds, not a voided one.
    held_money = any(charge.authorized for charge in charges) or bool(_HOLDS & order.timeline)
    if order.status == "cancelled" and (not order.guest or held_money):
        yield order.order_id, "cancellation"
    if order.status != "paid" and order.refunded < order.total and any(charge.refunded for charge in charges):
        yield order.order_id, "refund"
    yield from ((one.return_id, "refund") for one in order.returns if one.refunded and one.amount)
    for late in order.late:
        yield str(refund_failure_id(UUID(late.refund_id))) if late.failed else late.refund_id, "refund"


def _accounted_for(evidence: Evidence) -> Iterator[tuple[str | None, str | None]]:
    """Mails that arrived, that wait for the hour to pass, that are listed as undeliverable, or that had no
    address to go to."""
    yield from ((mail.subject, mail.reason) for mail in evidence.mails)
    yield from evidence.put_off
    yield from ((kept.subject_id, kept.reason) for kept in evidence.kept if kept.fate in UNDELIVERABLE)
    for order_id, fates in evidence.fates.items():
        yield from ((order_id, reason) for reason, fate in fates.items() if fate == "no_contact")
