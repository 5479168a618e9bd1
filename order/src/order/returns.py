"""What became of the goods and the money of a paid order: its returns, failed refunds and disputes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID, uuid5

from contracts import Line, PaymentDisputed

ReturnState = Literal["requested", "received", "granted", "rejected", "withdrawn"]

MADE_AGAIN = "again"
"""The `by` of a refund that was made again after it had failed."""


class ReturnPeriod(timedelta):
    """For how long an order can be cancelled after it was paid, and returned after it was fulfilled."""


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


def given(returns: Iterable[Return]) -> int:
    """The sum of what was refunded or requested."""
    return sum(one.amount for one in returns if one.counts)


@dataclass(frozen=True)
class LateRefund:
    """A correction of what was refunded: a refund that failed after it was made, for `code`; without a code,
    a failed one that was made again."""

    refund_id: UUID
    amount: int
    code: str | None
    at: datetime

    @property
    def sign(self) -> int:
        return -1 if self.code else 1

    @classmethod
    def of_json(cls, one: Mapping[str, Any]) -> Self:
        """From the JSON of a row."""
        return cls(UUID(one["refund_id"]), one["amount"], one["code"], datetime.fromisoformat(one["at"]))


def refunded(total: int, refunded_at: Any, rest: int | None, parts: int, late: Iterable[LateRefund]) -> int:
    """What of the total the shopper has: the refunded parts, and the rest if it was refunded; less what
    failed, plus what was made again. Old orders, from before there were parts, have no `rest`."""
    if refunded_at:
        parts += total - parts if rest is None else rest
    return min(total, max(0, parts - not_made_again(late)))


def not_made_again(late: Iterable[LateRefund]) -> int:
    """The amount that failed and was not made again."""
    return -sum(one.sign * one.amount for one in late)


def settled_as(refund_id: UUID) -> UUID:
    """The id under which it is recorded that a failed refund was settled in another way."""
    return uuid5(refund_id, "settled")


def settled(late: Iterable[LateRefund]) -> list[LateRefund]:
    """The failed refunds that were settled in another way."""
    known = [*late]
    ids = {one.refund_id for one in known}
    return [one for one in known if one.code and settled_as(one.refund_id) in ids]


@dataclass(frozen=True)
class Dispute:
    """The shopper disputes the payment with her bank. `noted_at` is when the payment service learnt its
    status."""

    dispute_id: UUID
    amount: int
    reason: str
    status: str
    due_by: datetime | None
    noted_at: datetime


def with_dispute(disputes: Sequence[Dispute], event: PaymentDisputed) -> tuple[Dispute, ...]:
    """The disputes with the event applied. The latest status of a dispute counts, in whatever order they
    arrive."""
    new = Dispute(
        event.dispute_id, event.amount.amount, event.reason, event.status, event.due_by, event.noted_at
    )
    by_id = {one.dispute_id: one for one in disputes}
    known = by_id.get(new.dispute_id, new)
    by_id[new.dispute_id] = max(known, new, key=lambda one: one.noted_at)
    return tuple(by_id.values())


def lost(disputes: Iterable[Dispute]) -> int:
    """What the bank has paid back to the shopper for good."""
    return sum(one.amount for one in disputes if one.status == "lost")
