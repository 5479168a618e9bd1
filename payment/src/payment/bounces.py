"""What became of refunds later: those that somebody has made at the provider, and those that came back long
after they had gone back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid5

from contracts import Event, PaymentRefundFailed
from payment.domain import NOTHING, REFUNDED_SHORT, Impossible, Next, Payment
from payment.found import Found, FoundRefund
from payment.refunds import Refund, mend, money, refunded_in_part

GIVEN = ("succeeded",)
FAILED = ("failed", "canceled")
# What has come back so often is for people to settle.
MOST_AGAIN = 5

_REFUNDS = UUID("5d0c0f0e-7a53-4cb0-8c1c-3d5f6a1e2b47")


@dataclass
class Noted:
    """What is new: refunds that were not known, what is published, and what the payment does."""

    new: list[Refund] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    follows: Next = NOTHING


class Called(Protocol):
    """A refund by the provider's id, and by the shop's if that is written on it."""

    @property
    def id(self) -> str: ...

    @property
    def refund_id(self) -> str | None: ...


def known_as(found: Called) -> UUID:
    """The shop's id of it: its own, or for what has none one that is made of the provider's."""
    try:
        return UUID(found.refund_id or "")
    except ValueError:
        return uuid5(_REFUNDS, found.id)


def is_whole(payment: Payment, found: FoundRefund) -> bool:
    """Whether the shop has made it, of all that was left."""
    return found.order_id == str(payment.order_id) and found.refund_id is None


def compare(payment: Payment, found: Found, known: Mapping[UUID, Refund], now: datetime) -> Noted:
    """What the provider's refunds of the payment say that is not known; `known` are all that are."""
    noted = Noted()
    rows = dict(known)
    found = replace(found, refunds=tuple(one for one in found.refunds if _is_counted(payment, one)))
    for one in reversed(found.refunds):  # the oldest first
        if not is_whole(payment, one):
            _note(payment, one, rows, noted)
    whole = [one for one in found.refunds if is_whole(payment, one)]
    if payment.state == "refunding":
        noted.follows = _conclude(payment, found, whole, rows.values(), now)
    elif payment.state == "refunded" and whole and all(one.status in FAILED for one in whole):
        _bounce_whole(payment, whole[0], rows, noted)
    elif payment.state == "refund_failed" and _has_all_gone(found):
        noted.follows = _settle(payment, rows.values())
    return noted


def failed(payment: Payment, refund: Refund) -> PaymentRefundFailed:
    """What is published of a refund that came back."""
    assert payment.order is not None, "only what was taken is refunded"
    return PaymentRefundFailed(
        order_id=payment.order_id,
        refund_id=refund.refund_id,
        payment_id=payment.payment_id or "",
        amount=money(payment, refund),
        code=refund.code or "unknown",
        contact=payment.order.contact,
        number=payment.order.number,
    )


def again(payment: Payment, refund: Refund) -> Refund | None:
    """One that came back is made once more, under an id of its own: the provider knows the old one as failed.
    `None` when that was tried often enough, or its money goes back otherwise."""
    goes_back_otherwise = payment.state == "refunding" or payment.refund_at is not None
    if refund.state != "bounced" or refund.refused >= MOST_AGAIN or goes_back_otherwise:
        return None
    refund.state = "covered"
    repeat = Refund(
        uuid5(refund.refund_id, "again"),
        payment.order_id,
        refund.amount,
        "again",
        refused=refund.refused + 1,
        again_of=refund.refund_id,
    )
    # Of what goes back as a whole, what is left was counted before.
    payment.count(repeat.refund_id, 0 if payment.is_given_back else repeat.amount)
    return repeat


def settle(payment: Payment, refund_id: UUID, known: Mapping[UUID, Refund]) -> bool:
    """The shop has given back otherwise what came back by that refund, and by those that made it again: it is
    not made again. Tells whether it had not gone back meanwhile. Raises `Impossible` for a refund that is not
    known, or of which the outcome is not."""
    refund = known.get(refund_id)
    if refund is None:
        raise Impossible(f"refund {refund_id} was settled, which is not known here")
    gone = False
    repeats = {one.again_of: one for one in known.values() if one.again_of}
    while refund is not None:
        if refund.state == "refunding":
            raise Impossible(f"refund {refund_id} was settled, and is being made again")
        gone = gone or refund.state == "refunded"
        if refund.state == "bounced":
            refund.state = "covered"
            payment.count(refund.refund_id, 0 if payment.is_given_back else refund.amount)
        refund = repeats.get(refund.refund_id)
    if not any(one.state in ("refunding", "bounced") for one in known.values()):
        mend(payment)
    return not gone


def _is_counted(payment: Payment, one: FoundRefund) -> bool:
    """Whether it is in the order's currency: of what is not, no sum can be made."""
    assert payment.order is not None, "only what was taken is refunded"
    return one.amount is not None and one.amount.currency == payment.order.total.currency


def _note(payment: Payment, one: FoundRefund, rows: dict[UUID, Refund], noted: Noted) -> None:
    row = rows.get(known_as(one))
    if row is None and one.order_id is None and one.status in GIVEN and one.amount is not None:
        row = Refund(known_as(one), payment.order_id, one.amount.amount, "provider", "refunded")
        rows[row.refund_id] = row
        payment.count(row.refund_id, row.amount)
        noted.new.append(row)
        noted.events.append(refunded_in_part(payment, row))
    elif row is not None and row.state == "refunded" and one.status in FAILED:
        row.state, row.code, row.refund_at = "bounced", one.code or one.status, None
        payment.count(row.refund_id, 0)
        _bounce(payment)
        noted.events.append(failed(payment, row))


def _bounce(payment: Payment) -> None:
    """What goes back as a whole has not, then."""
    if payment.state == "refunded":
        payment.state = "refund_failed"


def _bounce_whole(payment: Payment, one: FoundRefund, rows: dict[UUID, Refund], noted: Noted) -> None:
    if known_as(one) in rows or one.amount is None:
        return
    why = one.code or one.status
    row = Refund(known_as(one), payment.order_id, one.amount.amount, "order", "bounced", why)
    payment.count(row.refund_id, 0)
    _bounce(payment)
    noted.new.append(row)
    noted.events.append(failed(payment, row))


def _conclude(
    payment: Payment, found: Found, whole: Collection[FoundRefund], rows: Collection[Refund], now: datetime
) -> Next:
    """What is left was asked for, and may have gone back in other parts than was thought."""
    if any(row.state == "refunding" for row in rows):
        return NOTHING
    given = [one.amount.amount for one in whole if one.status in GIVEN and one.amount is not None]
    if (given and sum(given) == payment.left) or _has_all_gone(found):
        return _settle(payment, rows)
    is_answered = payment.refund_at is not None  # or the call under way tells more
    return payment.refuse_refund(REFUNDED_SHORT, now) if is_answered else NOTHING


def _settle(payment: Payment, rows: Collection[Refund]) -> Next:
    """All of it has gone back: whoever has made that at the provider, what had come back has, too."""
    for row in rows:
        if row.state == "bounced":
            row.state = "covered"
    if payment.state == "refunding" or payment.refund_at is not None:
        return payment.is_refunded()
    mend(payment)
    return NOTHING


def _has_all_gone(found: Found) -> bool:
    return found.taken is not None and sum(_given(found)) >= found.taken.amount


def _given(found: Found) -> Iterator[int]:
    for one in found.refunds:
        if one.status in GIVEN and one.amount is not None:
            yield one.amount.amount


def may_differ(state: str, refund_state: str | None, found: FoundRefund) -> bool:
    """Whether a look at the payment in `state` may tell something of that refund, whose own state here is
    `refund_state`: a cheap question, for many at once."""
    if state not in ("captured", "refunding", "refunded", "refund_failed"):
        return False  # what is let go unused is booked as a refund, too
    if found.status in FAILED:
        whole = found.order_id is not None and found.refund_id is None
        return refund_state == "refunded" or (whole and state == "refunded" and refund_state is None)
    return found.status in GIVEN and found.order_id is None and refund_state is None
