"""Refunds that the shop learns about later: those made at the provider, and those that bounced, which means
that they failed after they had succeeded."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid5

from contracts import Event
from payment import outcomes
from payment.domain import NOTHING, Decision, Impossible, Payment
from payment.lookups import Found, FoundRefund, uuid_of
from payment.refunds import Refund, clear_bounces, refund_failed, refunded_in_part

SUCCEEDED = ("succeeded",)
FAILED = ("failed", "canceled")
# Less was refunded than was left of the money. The order was paid, so this does not decline it.
REFUNDED_SHORT = "refunded_short"
# After so many repeats somebody has to settle a bounced refund otherwise.
MAX_REPEATS = 5

_REFUNDS = UUID("5d0c0f0e-7a53-4cb0-8c1c-3d5f6a1e2b47")


@dataclass
class Differences:
    """What a comparison with the provider's refunds leads to: new rows, events to publish, and a decision."""

    new: list[Refund] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    decision: Decision = NOTHING


class Identified(Protocol):
    """A refund with the provider's id, and the shop's id if its metadata has one."""

    @property
    def id(self) -> str: ...

    @property
    def refund_id(self) -> str | None: ...


def refund_id_of(found: Identified) -> UUID:
    """The shop's id of a refund; without one in its metadata it is derived from the provider's id."""
    return uuid_of(found.refund_id) or uuid5(_REFUNDS, found.id)


def is_full_refund(payment: Payment, found: FoundRefund) -> bool:
    """Whether it is the shop's refund of all that was left."""
    return found.order_id == str(payment.order_id) and found.refund_id is None


def compare(payment: Payment, found: Found, known: Mapping[UUID, Refund], now: datetime) -> Differences:
    """Compare the provider's refunds of the payment with all `known` ones."""
    differences = Differences()
    rows = dict(known)
    found = replace(found, refunds=tuple(one for one in found.refunds if _is_counted(payment, one)))
    for one in reversed(found.refunds):  # the oldest first
        if not is_full_refund(payment, one):
            _note(payment, one, rows, differences)
    whole = [one for one in found.refunds if is_full_refund(payment, one)]
    if payment.state == "refunding":
        differences.decision = _conclude(payment, found, whole, rows.values(), now)
    elif payment.state == "refunded" and whole and all(one.status in FAILED for one in whole):
        _bounce_whole(payment, whole[0], rows, differences)
    elif payment.state == "refund_failed" and _is_all_refunded(found):
        differences.decision = _settle(payment, rows.values())
    return differences


def repeat(payment: Payment, refund: Refund) -> Refund | None:
    """A new refund that repeats a bounced one, under its own id, because the provider has the old one as
    failed. `None` after too many repeats, or if the money is being refunded otherwise."""
    is_refunded_otherwise = payment.state == "refunding" or payment.refund_at is not None
    if refund.state != "bounced" or refund.refused >= MAX_REPEATS or is_refunded_otherwise:
        return None
    refund.state = "covered"
    repeated = Refund(
        uuid5(refund.refund_id, "again"),
        payment.order_id,
        refund.amount,
        "again",
        refused=refund.refused + 1,
        again_of=refund.refund_id,
    )
    # If all of the money is given back, the amount was counted in what was left.
    payment.set_refunded(repeated.refund_id, 0 if payment.is_given_back else repeated.amount)
    return repeated


def settle(payment: Payment, refund_id: UUID, known: Mapping[UUID, Refund]) -> bool:
    """The shop has settled a bounced refund, and its repeats, in another way: it is not repeated any more.
    Returns whether no repeat has succeeded in the meantime. Raises `Impossible` if the refund is unknown, or
    the outcome of a repeat is."""
    refund = known.get(refund_id)
    if refund is None:
        raise Impossible(f"unknown refund {refund_id} was settled")
    was_repeated = False
    repeats = {one.again_of: one for one in known.values() if one.again_of}
    while refund is not None:
        if refund.state == "refunding":
            raise Impossible(f"refund {refund_id} was settled while it is being repeated")
        was_repeated = was_repeated or refund.state == "refunded"
        if refund.state == "bounced":
            refund.state = "covered"
            payment.set_refunded(refund.refund_id, 0 if payment.is_given_back else refund.amount)
        refund = repeats.get(refund.refund_id)
    if not any(one.state in ("refunding", "bounced") for one in known.values()):
        clear_bounces(payment)
    return not was_repeated


def _is_counted(payment: Payment, one: FoundRefund) -> bool:
    """Whether it is in the order's currency: other amounts cannot be summed."""
    order, _ = payment.order_and_payment_id()
    return one.amount is not None and one.amount.currency == order.total.currency


def _note(payment: Payment, one: FoundRefund, rows: dict[UUID, Refund], differences: Differences) -> None:
    refund_id = refund_id_of(one)
    row = rows.get(refund_id)
    if row is None and one.order_id is None and one.status in SUCCEEDED and one.amount is not None:
        row = Refund(refund_id, payment.order_id, one.amount.amount, "provider", "refunded")
        rows[refund_id] = row
        payment.set_refunded(row.refund_id, row.amount)
        differences.new.append(row)
        differences.events.append(refunded_in_part(payment, row))
    elif row is not None and row.state == "refunded" and one.status in FAILED:
        row.state, row.code, row.refund_at = "bounced", one.code or one.status, None
        _bounce(payment, row, differences)


def _bounce(payment: Payment, row: Refund, differences: Differences) -> None:
    payment.set_refunded(row.refund_id, 0)
    if payment.state == "refunded":
        payment.state = "refund_failed"
    differences.events.append(refund_failed(payment, row))


def _bounce_whole(
    payment: Payment, one: FoundRefund, rows: dict[UUID, Refund], differences: Differences
) -> None:
    refund_id = refund_id_of(one)
    if refund_id in rows or one.amount is None:
        return
    why = one.code or one.status
    row = Refund(refund_id, payment.order_id, one.amount.amount, "order", "bounced", why)
    differences.new.append(row)
    _bounce(payment, row, differences)


def _conclude(
    payment: Payment, found: Found, whole: Collection[FoundRefund], rows: Collection[Refund], now: datetime
) -> Decision:
    """All that is left is being refunded; the provider may have refunded it in other parts than known
    here."""
    if any(row.state == "refunding" for row in rows):
        return NOTHING
    given = _given(whole)
    if (given and given == payment.left) or _is_all_refunded(found):
        return _settle(payment, rows)
    is_answered = payment.refund_at is not None  # otherwise the outcome of the running call decides
    return outcomes.refuse_refund(payment, REFUNDED_SHORT, now) if is_answered else NOTHING


def _settle(payment: Payment, rows: Collection[Refund]) -> Decision:
    """All of the money was refunded at the provider, so the bounced refunds are covered."""
    for row in rows:
        if row.state == "bounced":
            row.state = "covered"
    if payment.state == "refunding" or payment.refund_at is not None:
        return payment.complete_refund()
    clear_bounces(payment)
    return NOTHING


def _is_all_refunded(found: Found) -> bool:
    return found.taken is not None and _given(found.refunds) >= found.taken.amount


def _given(refunds: Iterable[FoundRefund]) -> int:
    return sum(one.amount.amount for one in refunds if one.status in SUCCEEDED and one.amount is not None)


def may_differ(state: str, refund_state: str | None, found: FoundRefund) -> bool:
    """Whether looking up the payment, whose state is `state`, may change that refund, whose state is
    `refund_state`. Cheap, for a whole page of refunds."""
    if state not in ("captured", "refunding", "refunded", "refund_failed"):
        return False  # Stripe records a void as a refund, too
    if found.status in FAILED:
        whole = found.order_id is not None and found.refund_id is None
        return refund_state == "refunded" or (whole and state == "refunded" and refund_state is None)
    return found.status in SUCCEEDED and found.order_id is None and refund_state is None
