"""What becomes of money later, and how payment learns of it: refunds that somebody makes at the provider,
refunds that come back, disputes.

Each may happen at any moment after the capture. A webhook says no more than that there is something to look
at: from then on it may come at any moment, again and again, or never; what none has told, the provider's
lists show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from chassis.saga.tx import Tx
from chassis.testing import Harness
from contracts import PaymentRefundedInPart
from payment.disputes import Dispute as KnownDispute
from payment.domain import Payment
from payment.reconciliation import Compared, Row
from payment.refunds import Refund as KnownRefund
from payment.saga import apply, note_page
from payment.stripe_requests import page_intent
from standins.sandbox.errors import Refusal
from standins.sandbox.intents import Dispute, Refund
from standins.sandbox.intents import Intent as Charge
from tests.model.automaton import Command, Place
from tests.model.books import Books, kept

REFUNDED, BOUNCED, DISPUTED = "somebody refunds at the provider", "a refund comes back", "the bank disputes"
WON, LOST = "the shop wins the dispute", "the shop loses the dispute"
HINTED, NUDGED = "a webhook comes", "an operator nudges"
WHIMS = (REFUNDED, BOUNCED, DISPUTED, HINTED, NUDGED)
LISTS = ("refunds", "disputes")
When = Callable[[int, int], bool]


@dataclass(frozen=True)
class Later:
    """What may happen: `refunds` are amounts that somebody gives back at the provider one after the other,
    `None` is all that is left; as many of the shop's own as `bounces` come back; with `disputes` the
    shopper's bank disputes the payment once. `apart`: no more than one of the three befalls one order."""

    refunds: tuple[int | None, ...] = ()
    bounces: int = 0
    disputes: bool = False
    apart: bool = False

    def __bool__(self) -> bool:
        return bool(self.refunds or self.bounces or self.disputes)


def moves(books: Books, later: Later) -> Iterator[tuple[str, Books]]:
    """What others may do now, and the books afterwards."""
    later = _without_others(books, later) if later.apart else later
    for charge in (one for one in books.payments if one.captured):
        yield from _refunded(books, charge, later.refunds)
        if len([one for one in books.refunds if one.status == "failed"]) < later.bounces:
            own = (one for one in books.refunds if one.moved and one.metadata)
            yield from ((BOUNCED, _bounced(books, charge, one)) for one in own)
        if later.disputes:
            yield from _disputed(books, charge)


def _without_others(books: Books, later: Later) -> Later:
    if books.disputes:
        return Later(disputes=later.disputes)
    if elsewhere(books):
        return Later(refunds=later.refunds)
    has_failed = any(one.status == "failed" for one in books.refunds)
    return Later(bounces=later.bounces) if has_failed else later


def refund(books: Books, charge: Charge, amount: int | None, notes: dict[str, str]) -> tuple[Books, Refund]:
    """Of what a bank has taken for a dispute nothing can be refunded. Raises Refusal."""
    if any(one.withdrawn for one in books.disputes):
        raise Refusal(f"Charge {charge.charge} has been charged back.", code="charge_disputed", executed=True)
    after = charge.refund(amount)
    back = after.refunded - charge.refunded
    made = Refund(
        _name("re", charge, len(books.refunds)),
        charge.id,
        str(charge.charge),
        back,
        charge.currency,
        0,
        None,
        notes,
    )
    return replace(kept(books, after), refunds=(*books.refunds, made)), made


def _name(kind: str, charge: Charge, number: int) -> str:
    """Each order has a bank of its own here, and no two things at the provider have one name."""
    return f"{kind}_{UUID(charge.order_id).int}_{number + 1}"


def _refunded(books: Books, charge: Charge, amounts: Sequence[int | None]) -> Iterator[tuple[str, Books]]:
    for amount in amounts[len(elsewhere(books)) :][:1]:
        try:
            after, _ = refund(books, charge, amount, {})
        except Refusal:
            return
        yield REFUNDED, after


def _bounced(books: Books, charge: Charge, one: Refund) -> Books:
    failed = replace(one, status="failed", failure_reason="expired_or_canceled_card")
    refunds = tuple(failed if other is one else other for other in books.refunds)
    return replace(kept(books, replace(charge, refunded=charge.refunded - one.amount)), refunds=refunds)


def _disputed(books: Books, charge: Charge) -> Iterator[tuple[str, Books]]:
    if not books.disputes:
        opened = Dispute(
            _name("dp", charge, 0),
            charge.id,
            str(charge.charge),
            charge.captured,
            charge.currency,
            0,
            "fraudulent",
            "needs_response",
            0,
        )
        yield DISPUTED, replace(books, disputes=(opened,))
    for one in books.disputes:
        if one.status == "needs_response":
            yield WON, replace(books, disputes=(replace(one, status="won"),))
            yield LOST, replace(books, disputes=(replace(one, status="lost"),))


def has_news(books: Books) -> bool:
    """Whether there is anything that a webhook may be about."""
    return bool(elsewhere(books) or books.disputes) or any(one.status == "failed" for one in books.refunds)


def elsewhere(books: Books) -> list[Refund]:
    """The refunds that the shop has not made."""
    return [one for one in books.refunds if not one.metadata]


class Rows:
    """What payment has committed, as `payment.store.Known` reads it."""

    def __init__(self, place: Place) -> None:
        self._rows = place.harness.rows

    async def payments(self, payment_ids: Sequence[str], order_ids: Sequence[UUID]) -> Sequence[Row]:
        return [
            {"order_id": one.order_id, "payment_id": one.payment_id, "state": one.state}
            for one in self._of(Payment)
            if one.payment_id in payment_ids or one.order_id in order_ids
        ]

    async def refund_states(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        return {one.refund_id: one.state for one in self._of(KnownRefund) if one.refund_id in ids}

    async def dispute_statuses(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        return {one.dispute_id: one.status for one in self._of(KnownDispute) if one.dispute_id in ids}

    async def open_strays(self, payment_ids: Sequence[str]) -> Sequence[str]:
        return []

    def _of(self, kind: type[Any]) -> list[Any]:
        return [row for (found, _), row in self._rows.items() if found is kind]


def recount(harness: Harness, order_id: UUID) -> None:
    """Of how often payment was told of news, all that counts is whether it was since the look was begun."""
    found, look = harness.row(Payment, order_id), harness.intended.get(f"look:{order_id}")
    if found is not None and look is not None:
        is_told = found.news > look.payload["news"]
        harness.put(replace(found, news=int(is_told)))
        harness.intended[look.key] = replace(look, payload={**look.payload, "news": 0})


def commands(order_id: UUID, may_come: When, differs: When) -> Iterator[tuple[str, Command]]:
    """How payment learns of it. The lists are read again and again: what that comes to is only ever a look,
    so reading a page and noting it are one, in the states in which the page differs from what is known."""

    async def hint(tx: Tx) -> None:
        found = await tx.get(Payment, order_id)
        if found is not None:
            apply(found, found.look_up(), tx)

    async def reconcile(tx: Tx) -> None:
        found = await tx.get(Payment, order_id)
        assert found is not None, "what is compared is known"
        assert found.payment_id is not None, "and was held"
        looks = {order_id: found.payment_id}
        await note_page(page_intent(LISTS[0], 0), Compared(LISTS[0], looks), tx)

    yield HINTED, Command(hint, [PaymentRefundedInPart], when=may_come)
    yield "the provider's lists are read", Command(reconcile, when=differs)
