"""What is returned and refunded of a paid order, and what is left of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts import Line

ReturnState = Literal["requested", "received", "granted", "rejected", "withdrawn"]


class ReturnPeriod(timedelta):
    """For how long an order can be cancelled after it was paid, and returned after it was fulfilled."""


class NotReturnable(Exception):
    """The order cannot be cancelled, fulfilled, returned or refunded as requested; the message says why."""


class NotPaid(NotReturnable):
    """The order is not paid, or was cancelled since."""


class NotFulfilled(NotReturnable):
    """The order was not fulfilled yet: cancel it instead."""


class Fulfilled(NotReturnable):
    """The order was fulfilled, or returned in part: it cannot be cancelled, only returned."""


class PeriodOver(NotReturnable):
    """The period for returns is over."""


class NothingToRefund(NotReturnable):
    """The pieces to refund were free."""


class Closed(NotReturnable):
    """The return has already ended in another way."""


class TooMuch(NotReturnable):
    """More than is left of a line, as `errors` says, or of the money."""

    def __init__(self, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(reason)
        self.errors = errors


class Unknown(NotReturnable):
    """The order has no such return, or no such failed refund."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A number of pieces of one of the order's lines."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Return:
    """A return of goods, or a refund without one.

    `by` is `return` for a return of goods, `staff` for a refund by staff, and `provider` for a refund that
    was made at the payment provider. Without `restock` the lines only say what is refunded. `reason` is why
    it was rejected.
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
        """Whether its pieces and its amount reduce what is left."""
        return self.state not in ("rejected", "withdrawn")

    @property
    def is_due(self) -> bool:
        """Whether `order.returned` was published, so that it is to be restocked and refunded."""
        return self.state in ("received", "granted")

    @property
    def restocks(self) -> tuple[Line, ...]:
        return self.lines if self.restock else ()

    def awaits(self) -> list[str]:
        """The events that it still waits for."""
        if not self.is_due:
            return []
        awaited = ["stock.returned"] if self.restocks and not self.restocked_at else []
        return awaited + (["payment.refunded_in_part"] if self.amount and not self.refunded_at else [])


def find(returns: Iterable[Return], return_id: UUID) -> Return | None:
    return next((one for one in returns if one.return_id == return_id), None)


def changed(returns: Iterable[Return], after: Return) -> tuple[Return, ...]:
    """The returns with this one replaced."""
    return tuple(after if one.return_id == after.return_id else one for one in returns)


def taken(bought: Sequence[Line], returns: Iterable[Return], wanted: Sequence[Pieces]) -> tuple[Line, ...]:
    """The `wanted` pieces as lines at the prices that were paid. Raises TooMuch if more is wanted of a line
    than was bought, less what was returned or requested."""
    left = Counter({line.sku: line.quantity for line in bought})
    for one in returns:
        if one.counts:
            left.subtract({line.sku: line.quantity for line in one.lines})
    pieces_by_sku = Counter[str]()
    for pieces in wanted:
        pieces_by_sku[pieces.sku] += pieces.quantity
    errors = [
        {"sku": sku, "detail": _too_many(left[sku])}
        for sku in pieces_by_sku
        if pieces_by_sku[sku] > left[sku]
    ]
    if errors:
        raise TooMuch("More than is left of the lines.", errors)
    lines = {line.sku: line for line in bought}
    return tuple(lines[sku].model_copy(update={"quantity": pieces}) for sku, pieces in pieces_by_sku.items())


def worth(lines: Iterable[Line]) -> int:
    return sum(line.quantity * line.unit_price for line in lines)


def given(returns: Iterable[Return]) -> int:
    """The sum of what was refunded or requested."""
    return sum(one.amount for one in returns if one.counts)


def receive(one: Return, amount: int, now: datetime) -> Return:
    """The goods have arrived, and `amount` is refunded. Raises Closed if it was rejected or withdrawn."""
    if not one.counts:
        raise Closed(f"This return was {one.state}.")
    return one if one.is_due else replace(one, state="received", amount=amount, received_at=now)


def close(one: Return, state: Literal["rejected", "withdrawn"], reason: str | None = None) -> Return:
    """Reject or withdraw it. Raises Closed if it is no longer only requested."""
    if one.state == state:
        return one
    if one.state != "requested":
        raise Closed(f"This return was {one.state}.")
    return replace(one, state=state, reason=reason)


def _too_many(left: int) -> str:
    return f"At most {left} can be returned." if left > 0 else "None can be returned."
