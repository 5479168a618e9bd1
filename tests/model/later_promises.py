"""What must hold of money that moves later: what is published of it is true, and in the end all know it."""

from collections.abc import Iterable, Iterator, Sequence

from chassis.saga.tx import Event
from contracts import PaymentDisputed, PaymentRefunded, PaymentRefundedInPart, PaymentRefundFailed
from payment import disputes
from payment.bounces import refund_id_of
from shop.ledger.evidence import DisputeSeen, LateSeen, RefundSeen
from tests.model.books import Books
from tests.model.core import Seen
from tests.model.later import elsewhere


def is_true(seen: Seen, said: Sequence[Event]) -> Iterator[str]:
    """What is amiss with what was published of refunds and disputes, given what there is at the provider."""
    made = {refund_id_of(one): one for one in refunds(seen.books)}
    stood = {disputes.dispute_id_of(one.id): one for one in seen.books.disputes}
    whole = [one for one in made.values() if one.order_id and not one.refund_id]
    kept, made_at_all = (sum(one.amount for one in some) for some in (_that_last(whole), whole))
    for event in said:
        match event:
            case PaymentRefundedInPart(refund_id=refund_id):
                if refund_id not in made or made[refund_id].amount != event.amount.amount:
                    yield "each refund is told with its true amount"
            case PaymentRefundFailed(refund_id=refund_id):
                if refund_id not in made or made[refund_id].status != "failed":
                    yield "only what came back is told to have come back"
                elif made[refund_id].amount != event.amount.amount:
                    yield "each refund that came back is told with its true amount"
            case PaymentDisputed(dispute_id=dispute_id):
                one = stood.get(dispute_id)
                if one is None or event.status not in ("needs_response", one.status):
                    yield "each dispute is told as it stands or stood"
            case PaymentRefunded(total=total) if is_taken_as_asked(seen):
                if not kept <= total.amount <= made_at_all:
                    yield "all of the money is told to be back with its true amount"


def _that_last(refunds: Iterable[RefundSeen]) -> list[RefundSeen]:
    """Those that did not come back."""
    return [one for one in refunds if one.status == "succeeded"]


def is_known(seen: Seen) -> Iterator[str]:
    """What order does not know in the end of what there is at the provider."""
    there = {disputes.dispute_id_of(one.id): one.status for one in seen.books.disputes}
    if {one.dispute_id: one.status for one in seen.order.disputes} != there:
        yield "order knows each dispute as the provider has it"
    if is_taken_as_asked(seen) and seen.order.refunded != seen.given_back:
        yield f"order shows what has gone back: {seen.order.refunded}, and not {seen.given_back}"


def is_taken_as_asked(seen: Seen) -> bool:
    """Of an order of which another amount was taken, all goes back, and that is told as its total."""
    return seen.taken in (0, seen.order.total)


def given_elsewhere(seen: Seen) -> int:
    """What others have given back at the provider; if it came back, it may be given once more."""
    return sum(one.amount for one in elsewhere(seen.books))


def unnoticed(seen: Seen) -> int:
    """What came back, and payment does not know of that yet."""
    states = {one.refund_id: one.state for one in seen.refunds}
    failed = (one for one in refunds(seen.books) if one.status == "failed")
    return sum(one.amount for one in failed if states.get(refund_id_of(one), "refunded") == "refunded")


def lost(seen: Seen) -> int:
    """What the shopper's bank has taken for good."""
    return sum(one.amount for one in seen.books.disputes if one.status == "lost")


def refunds(books: Books) -> tuple[RefundSeen, ...]:
    """As the ledger sees them."""
    return tuple(
        RefundSeen(
            one.id, one.amount, one.status, one.metadata.get("order_id"), one.metadata.get("refund_id")
        )
        for one in books.refunds
    )


def disputed(books: Books) -> tuple[DisputeSeen, ...]:
    """As the ledger sees them."""
    return tuple(DisputeSeen(one.id, one.status, one.amount) for one in books.disputes)


def late(seen: Seen) -> tuple[LateSeen, ...]:
    """As the ledger sees them."""
    return tuple(
        LateSeen(str(one.refund_id), one.amount, one.code is not None) for one in seen.order.late_refunds
    )
