"""What goes back of a paid order: goods that are returned, money that staff give back, and what is left."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import Line

ReturnState = Literal["requested", "received", "granted", "rejected", "withdrawn"]


class ReturnPeriod(timedelta):
    """How long after it was paid an order may be cancelled, and after it was fulfilled returned."""


class NotReturnable(Exception):
    """Nothing goes back as it was asked for; the text says why."""


class NotPaid(NotReturnable):
    """The order is not paid, or not any more."""


class NotFulfilled(NotReturnable):
    """The goods have not left yet: the order is to be cancelled."""


class Fulfilled(NotReturnable):
    """The goods have left, or came back in part: the order cannot be cancelled, but returned."""


class PeriodOver(NotReturnable):
    """It was fulfilled longer ago than orders are taken back."""


class Closed(NotReturnable):
    """This return has ended otherwise."""


class TooMuch(NotReturnable):
    """More than is left: of the lines, as `errors` names them, or of the money."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class Unknown(NotReturnable):
    """The order has no such return, or none of its refunds that came back is this."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """So many pieces of one of the order's lines."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Return:
    """Something that goes back, or has. `by` is `return` when goods come back, `staff` when staff give money
    back, `provider` when that was done at the payment provider. Without `restock` the lines say only what the
    money is for. `reason` is why it was rejected.
    """

    return_id: UUID
    by: str
    state: ReturnState
    lines: tuple[Line, ...]
    amount: int
    requested_at: datetime
    restock: bool = True
    reason: str | None = None
    received_at: datetime | None = None
    restocked_at: datetime | None = None
    refunded_at: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether its pieces and its money are gone, or promised."""
        return self.state not in ("rejected", "withdrawn")

    @property
    def is_due(self) -> bool:
        """Whether the others were told to restock and to refund."""
        return self.state in ("received", "granted")

    @property
    def restocks(self) -> tuple[Line, ...]:
        return self.lines if self.restock else ()

    def awaits(self) -> list[str]:
        """The events that tell of what is still to be done for it."""
        if not self.is_due:
            return []
        awaited = ["stock.returned"] if self.restocks and not self.restocked_at else []
        return awaited + (["payment.refunded_in_part"] if self.amount and not self.refunded_at else [])


def find(returns: Iterable[Return], return_id: UUID) -> Return | None:
    return next((one for one in returns if one.return_id == return_id), None)


def changed(returns: Iterable[Return], after: Return) -> tuple[Return, ...]:
    """With that one as it is now."""
    return tuple(after if one.return_id == after.return_id else one for one in returns)


def taken(bought: Sequence[Line], returns: Iterable[Return], wanted: Sequence[Pieces]) -> tuple[Line, ...]:
    """The lines that are wanted back, at the prices that were paid. Raises TooMuch when there is less of one
    than is wanted: what was bought less what went back, or is requested to."""
    left = Counter({line.sku: line.quantity for line in bought})
    for one in returns:
        if one.counts:
            left.subtract({line.sku: line.quantity for line in one.lines})
    asked = Counter[str]()
    for pieces in wanted:
        asked[pieces.sku] += pieces.quantity
    errors = [{"sku": sku, "detail": _too_many(left[sku])} for sku in asked if asked[sku] > left[sku]]
    if errors:
        raise TooMuch("More than is left of what was bought.", errors)
    lines = {line.sku: line for line in bought}
    return tuple(lines[sku].model_copy(update={"quantity": pieces}) for sku, pieces in asked.items())


def worth(lines: Iterable[Line]) -> int:
    return sum(line.quantity * line.unit_price for line in lines)


def given(returns: Iterable[Return]) -> int:
    """What was refunded, or is promised."""
    return sum(one.amount for one in returns if one.counts)


def receive(one: Return, amount: int, now: datetime) -> Return:
    """The goods are here, and so much is refunded. Raises Closed when it was rejected or withdrawn."""
    if not one.counts:
        raise Closed(f"This return was {one.state}.")
    return one if one.is_due else replace(one, state="received", amount=amount, received_at=now)


def close(one: Return, state: Literal["rejected", "withdrawn"], reason: str | None = None) -> Return:
    """Nothing comes of it. Raises Closed when it is too late for that."""
    if one.state == state:
        return one
    if one.state != "requested":
        raise Closed(f"This return was {one.state}.")
    return replace(one, state=state, reason=reason)


def _too_many(left: int) -> str:
    return f"At most {left} can go back." if left > 0 else "None of it can go back."
