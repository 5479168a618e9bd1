"""What the provider knows of one order, and what changes it later: refunds that are made at the provider,
refunds that fail, disputes.

Each may happen at any moment after the capture. A webhook only hints that there is something to look
up: from then on it may come at any moment, repeatedly, or never; what none has reported, the provider's lists
show.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from standins.sandbox.render import Json
from tests.model.actor import Command, LocalState

REFUNDED, BOUNCED, DISPUTED = "a refund is made at the provider", "a refund fails", "the bank disputes"
WON, LOST = "the shop wins the dispute", "the shop loses the dispute"
HINTED, NUDGED = "a webhook comes", "an operator nudges"
OPTIONAL = (REFUNDED, BOUNCED, DISPUTED, HINTED, NUDGED)
LISTS = ("refunds", "disputes")
When = Callable[[int, int], bool]


@dataclass(frozen=True)
class Ledger:
    """`answers` by key, `aged` the keys that it has forgotten."""

    payments: tuple[Charge, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    answers: Mapping[str, tuple[int, Json]] = field(default_factory=dict)
    aged: tuple[str, ...] = ()
    refused: int = 0

    def of(self, order_id: str) -> "Ledger":
        """Without the payments of forged orders."""
        return replace(self, payments=tuple(one for one in self.payments if one.order_id == order_id))


@dataclass(frozen=True)
class LaterEvents:
    """What may happen: `refunds` are amounts that are refunded at the provider one after the other,
    `None` is all that is left; as many of the shop's own as `bounces` fail; with `disputes` the
    shopper's bank disputes the payment once. `apart`: no more than one of the three befalls one order."""

    refunds: tuple[int | None, ...] = ()
    bounces: int = 0
    disputes: bool = False
    apart: bool = False

    def __bool__(self) -> bool:
        return bool(self.refunds or self.bounces or self.disputes)


def kept(ledger: Ledger, payment: Charge) -> Ledger:
    """With the payment as it is now."""
    others = [one for one in ledger.payments if one.id != payment.id]
    return replace(ledger, payments=(*others, payment))


def moves(ledger: Ledger, later: LaterEvents) -> Iterator[tuple[str, Ledger]]:
    """What others may do now, and the ledger afterwards."""
    later = _without_others(ledger, later) if later.apart else later
    for charge in (one for one in ledger.payments if one.captured):
        yield from _refunded(ledger, charge, later.refunds)
        if len([one for one in ledger.refunds if one.status == "failed"]) < later.bounces:
            own = (one for one in ledger.refunds if one.moved and one.metadata)
            yield from ((BOUNCED, _bounced(ledger, charge, one)) for one in own)
        if later.disputes:
            yield from _disputed(ledger, charge)


def _without_others(ledger: Ledger, later: LaterEvents) -> LaterEvents:
    if ledger.disputes:
        return LaterEvents(disputes=later.disputes)
    if elsewhere(ledger):
        return LaterEvents(refunds=later.refunds)
    has_failed = any(one.status == "failed" for one in ledger.refunds)
    return LaterEvents(bounces=later.bounces) if has_failed else later


def refund(
    ledger: Ledger, charge: Charge, amount: int | None, notes: dict[str, str]
) -> tuple[Ledger, Refund]:
    """Of what a bank has taken for a dispute nothing can be refunded. Raises Refusal."""
    if any(one.withdrawn for one in ledger.disputes):
        raise Refusal(f"Charge {charge.charge} has been charged back.", code="charge_disputed", executed=True)
    after = charge.refund(amount)
    back = after.refunded - charge.refunded
    made = Refund(
        _name("re", charge, len(ledger.refunds)),
        charge.id,
        str(charge.charge),
        back,
        charge.currency,
        0,
        None,
        notes,
    )
    return replace(kept(ledger, after), refunds=(*ledger.refunds, made)), made


def _name(kind: str, charge: Charge, number: int) -> str:
    """Each order has a bank of its own here, and no two things at the provider have one name."""
    return f"{kind}_{UUID(charge.order_id).int}_{number + 1}"


def _refunded(ledger: Ledger, charge: Charge, amounts: Sequence[int | None]) -> Iterator[tuple[str, Ledger]]:
    for amount in amounts[len(elsewhere(ledger)) :][:1]:
        try:
            after, _ = refund(ledger, charge, amount, {})
        except Refusal:
            return
        yield REFUNDED, after


def _bounced(ledger: Ledger, charge: Charge, one: Refund) -> Ledger:
    failed = replace(one, status="failed", failure_reason="expired_or_canceled_card")
    refunds = tuple(failed if other is one else other for other in ledger.refunds)
    return replace(kept(ledger, replace(charge, refunded=charge.refunded - one.amount)), refunds=refunds)


def _disputed(ledger: Ledger, charge: Charge) -> Iterator[tuple[str, Ledger]]:
    if not ledger.disputes:
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
        yield DISPUTED, replace(ledger, disputes=(opened,))
    for one in ledger.disputes:
        if one.status == "needs_response":
            yield WON, replace(ledger, disputes=(replace(one, status="won"),))
            yield LOST, replace(ledger, disputes=(replace(one, status="lost"),))


def has_news(ledger: Ledger) -> bool:
    """Whether there is anything that a webhook may be about."""
    return bool(elsewhere(ledger) or ledger.disputes) or any(one.status == "failed" for one in ledger.refunds)


def elsewhere(ledger: Ledger) -> list[Refund]:
    """The refunds that the shop has not made."""
    return [one for one in ledger.refunds if not one.metadata]


class Rows:
    """What payment has committed, as `payment.store.Known` reads it."""

    def __init__(self, local: LocalState) -> None:
        self._rows = local.harness.rows

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
    """Of the number of hints, all that counts is whether one came since the lookup began."""
    found, lookup = harness.row(Payment, order_id), harness.intended.get(f"look:{order_id}")
    if found is not None and lookup is not None:
        is_hinted = found.news > lookup.payload["news"]
        harness.put(replace(found, news=int(is_hinted)))
        harness.intended[lookup.key] = replace(lookup, payload={**lookup.payload, "news": 0})


def commands(order_id: UUID, may_come: When, differs: When) -> Iterator[tuple[str, Command]]:
    """How payment learns of it. The lists are read again and again: what that leads to is always a lookup,
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
