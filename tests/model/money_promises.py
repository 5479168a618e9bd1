"""What must hold of money that moves later: what is published of it is true, and in the end all know it."""

from collections.abc import Iterable, Iterator, Sequence

from chassis.saga.tx import Event
from contracts import PaymentDisputed, PaymentRefunded, PaymentRefundedInPart, PaymentRefundFailed
from payment import disputes
from payment.bounces import refund_id_of
from shop.ledger.evidence import DisputeRecord, LateRefundRecord, RefundRecord
from tests.model.provider_ledger import Ledger, elsewhere
from tests.model.saga_world import OrderSnapshot


def is_true(snapshot: OrderSnapshot, published: Sequence[Event]) -> Iterator[str]:
    """What is amiss with what was published of refunds and disputes, given what there is at the provider."""
    made = {refund_id_of(one): one for one in refunds(snapshot.ledger)}
    known = {disputes.dispute_id_of(one.id): one for one in snapshot.ledger.disputes}
    whole = [one for one in made.values() if one.order_id and not one.refund_id]
    kept, made_at_all = (sum(one.amount for one in some) for some in (_that_last(whole), whole))
    for event in published:
        match event:
            case PaymentRefundedInPart(refund_id=refund_id):
                if refund_id not in made or made[refund_id].amount != event.amount.amount:
                    yield "each refund is published with its true amount"
            case PaymentRefundFailed(refund_id=refund_id):
                if refund_id not in made or made[refund_id].status != "failed":
                    yield "only a failed refund is published as failed"
                elif made[refund_id].amount != event.amount.amount:
                    yield "each failed refund is published with its true amount"
            case PaymentDisputed(dispute_id=dispute_id):
                one = known.get(dispute_id)
                if one is None or event.status not in ("needs_response", one.status):
                    yield "each dispute is published as it is or was"
            case PaymentRefunded(total=total) if is_taken_as_asked(snapshot):
                if not kept <= total.amount <= made_at_all:
                    yield "the whole refund is published with its true amount"


def _that_last(refunds: Iterable[RefundRecord]) -> list[RefundRecord]:
    """Those that did not come back."""
    return [one for one in refunds if one.status == "succeeded"]


def is_known(snapshot: OrderSnapshot) -> Iterator[str]:
    """What order does not know in the end of what there is at the provider."""
    there = {disputes.dispute_id_of(one.id): one.status for one in snapshot.ledger.disputes}
    if {one.dispute_id: one.status for one in snapshot.order.disputes} != there:
        yield "order knows each dispute as the provider has it"
    if is_taken_as_asked(snapshot) and snapshot.order.refunded != snapshot.given_back:
        yield f"order shows what has gone back: {snapshot.order.refunded}, and not {snapshot.given_back}"


def is_taken_as_asked(snapshot: OrderSnapshot) -> bool:
    """If another amount was taken, all of it is refunded, and published as the total."""
    return snapshot.taken in (0, snapshot.order.total)


def given_elsewhere(snapshot: OrderSnapshot) -> int:
    """What others have given back at the provider; if it came back, it may be given once more."""
    return sum(one.amount for one in elsewhere(snapshot.ledger))


def unnoticed(snapshot: OrderSnapshot) -> int:
    """What came back, and payment does not know of that yet."""
    states = {one.refund_id: one.state for one in snapshot.refunds}
    failed = (one for one in refunds(snapshot.ledger) if one.status == "failed")
    return sum(one.amount for one in failed if states.get(refund_id_of(one), "refunded") == "refunded")


def lost(snapshot: OrderSnapshot) -> int:
    """What the shopper's bank has taken for good."""
    return sum(one.amount for one in snapshot.ledger.disputes if one.status == "lost")


def refunds(ledger: Ledger) -> tuple[RefundRecord, ...]:
    """As the ledger sees them."""
    return tuple(
        RefundRecord(
            one.id, one.amount, one.status, one.metadata.get("order_id"), one.metadata.get("refund_id")
        )
        for one in ledger.refunds
    )


def disputed(ledger: Ledger) -> tuple[DisputeRecord, ...]:
    """As the ledger sees them."""
    return tuple(DisputeRecord(one.id, one.status, one.amount) for one in ledger.disputes)


def late(snapshot: OrderSnapshot) -> tuple[LateRefundRecord, ...]:
    """As the ledger sees them."""
    return tuple(
        LateRefundRecord(str(one.refund_id), one.amount, one.code is not None)
        for one in snapshot.order.late_refunds
    )
