"""Refunds that came back long after they had gone back, and those that were made again: what of an order's
money the shopper really has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

AGAIN = "again"
"""Whose doing a refund is that makes one again that had come back."""


@dataclass(frozen=True)
class LateRefund:
    """Money that came back to the shop, for `code`; without a code, money that went to the shopper again."""

    refund_id: UUID
    amount: int
    code: str | None
    at: datetime

    @property
    def sign(self) -> int:
        return -1 if self.code else 1


def noted(known: tuple[LateRefund, ...], late: LateRefund) -> tuple[LateRefund, ...]:
    """With that one, once."""
    return known if any(_is_same(one, late) for one in known) else (*known, late)


def refunded(total: int, refunded_at: Any, rest: int | None, parts: int, late: Iterable[LateRefund]) -> int:
    """What of the total the shopper has back: parts, and the rest if that went back, too; less what came
    back, with what then went back again. `rest` is not known of orders from before there were parts."""
    if refunded_at:
        parts += total - parts if rest is None else rest
    return min(total, max(0, parts + sum(one.sign * one.amount for one in late)))


def settled_as(refund_id: UUID) -> UUID:
    """As what it is noted that the shopper has otherwise what came back by that refund."""
    return uuid5(refund_id, "settled")


def settled(late: Iterable[LateRefund]) -> list[LateRefund]:
    """What came back and was settled otherwise."""
    known = [*late]
    ids = {one.refund_id for one in known}
    return [one for one in known if one.code and settled_as(one.refund_id) in ids]


def owed(late: Iterable[LateRefund]) -> int:
    """What came back and has not gone to the shopper again."""
    return -sum(one.sign * one.amount for one in late)


def of_json(one: Mapping[str, Any]) -> LateRefund:
    """As a row has it."""
    return LateRefund(UUID(one["refund_id"]), one["amount"], one["code"], datetime.fromisoformat(one["at"]))


def _is_same(one: LateRefund, other: LateRefund) -> bool:
    return (one.refund_id, one.sign) == (other.refund_id, other.sign)
