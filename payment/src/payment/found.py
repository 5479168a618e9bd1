"""A payment as the provider has it, whoever has done something to it: read, and not yet compared."""

from dataclasses import dataclass
from datetime import datetime

from contracts import Money


@dataclass(frozen=True)
class FoundRefund:
    """`order_id` and `refund_id` are what the shop has written on its own; without them somebody has made it
    at the provider. `amount` is `None` where it is nothing that the shop counts in."""

    id: str
    payment_id: str
    amount: Money | None
    status: str
    code: str | None = None
    order_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class FoundDispute:
    """`due_by` is until when the shop may answer it."""

    id: str
    payment_id: str
    amount: Money | None
    reason: str
    status: str
    due_by: datetime | None = None


@dataclass(frozen=True)
class Found:
    """`held` and `taken` are what the provider holds and has taken, `left` is what it has not given back of
    that, in its own units."""

    payment_id: str
    status: str
    held: Money | None
    taken: Money | None
    order_id: str | None = None
    refunds: tuple[FoundRefund, ...] = ()
    disputes: tuple[FoundDispute, ...] = ()
    left: int = 0
    currency: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True)
class Page:
    """A part of one of the provider's lists, the newest first; `after` is its last if there is more."""

    name: str
    items: tuple[Found | FoundRefund | FoundDispute, ...]
    after: str | None
