"""Refunds that failed after they were made, and those that were made again: how much money the shopper
really has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

AGAIN = "again"
"""The `by` of a refund that was made again after it had failed."""


@dataclass(frozen=True)
class LateRefund:
    """A refund that failed, for `code`; without a code, one that was made again."""

    refund_id: UUID
    amount: int
    code: str | None
    at: datetime

    @property
    def sign(self) -> int:
        return -1 if self.code else 1


def noted(known: tuple[LateRefund, ...], late: LateRefund) -> tuple[LateRefund, ...]:
    """The known ones and this one, once."""
    return known if any(_is_same(one, late) for one in known) else (*known, late)


def refunded(total: int, refunded_at: Any, rest: int | None, parts: int, late: Iterable[LateRefund]) -> int:
    """What of the total the shopper has: the refunded parts, and the rest if it was refunded; less what
    failed, plus what was made again. Old orders, from before there were parts, have no `rest`."""
    if refunded_at:
        parts += total - parts if rest is None else rest
    return min(total, max(0, parts + sum(one.sign * one.amount for one in late)))


def settled_as(refund_id: UUID) -> UUID:
    """The id under which it is recorded that a failed refund was settled in another way."""
    return uuid5(refund_id, "settled")


def settled(late: Iterable[LateRefund]) -> list[LateRefund]:
    """The failed refunds that were settled in another way."""
    known = [*late]
    ids = {one.refund_id for one in known}
    return [one for one in known if one.code and settled_as(one.refund_id) in ids]


def owed(late: Iterable[LateRefund]) -> int:
    """The amount that failed and was not made again."""
    return -sum(one.sign * one.amount for one in late)


def of_json(one: Mapping[str, Any]) -> LateRefund:
    """From the JSON of a row."""
    return LateRefund(UUID(one["refund_id"]), one["amount"], one["code"], datetime.fromisoformat(one["at"]))


def _is_same(one: LateRefund, other: LateRefund) -> bool:
    return (one.refund_id, one.sign) == (other.refund_id, other.sign)
