"""What is found at the provider: a payment with its refunds and disputes, a page of one of the provider's
lists, or money of no order; and how these are read from Stripe's objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts import CURRENCIES, Money

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class FoundRefund:
    """A refund at the provider. `order_id` and `refund_id` are the metadata of the shop's own refunds;
    without them somebody has made it at the provider. `amount` is `None` in a currency that the shop does not
    use."""

    id: str
    payment_id: str
    amount: Money | None
    status: str
    code: str | None = None
    order_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class FoundDispute:
    """A dispute at the provider. `due_by` is until when the shop may respond."""

    id: str
    payment_id: str
    amount: Money | None
    reason: str
    status: str
    due_by: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A payment at the provider. `left` is what is held, or captured and not refunded, in the provider's
    units."""

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
    """A page of one of the provider's lists, the newest first; `after` is its last id if there are more
    pages."""

    name: str
    items: tuple[Found | FoundRefund | FoundDispute, ...]
    after: str | None


@dataclass(eq=False)
class Reconciliation:
    """When reading a list was last begun, and when its last page was read."""

    name: str
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(eq=False)
class Stray:
    """Money at the provider that belongs to no order, or that its order does not account for. `amount` is in
    the provider's units. `settled_at` is when a later comparison found it gone."""

    payment_id: str
    order_id: str | None
    amount: int
    currency: str
    created_at: datetime
    seen_at: datetime
    settled_at: datetime | None = None


def read_payment(intent: Answer, refunds: Sequence[Answer] = (), disputes: Sequence[Answer] = ()) -> Found:
    """A payment from Stripe's payment intent, refunds and disputes."""
    return Found(
        intent["id"],
        intent["status"],
        money(intent, "amount_capturable"),
        money(intent, "amount_received"),
        (intent["metadata"] or {}).get("order_id"),
        tuple(read_refund(one) for one in refunds),
        tuple(read_dispute(one) for one in disputes),
        _left(intent),
        intent["currency"].upper(),
        datetime.fromtimestamp(intent["created"], UTC),
    )


def _left(intent: Answer) -> int:
    charge = intent.get("latest_charge")
    refunded = charge["amount_refunded"] if isinstance(charge, Mapping) else 0
    taken: int = intent["amount_received"]
    return int(intent["amount_capturable"]) + max(0, taken - refunded if taken else 0)


def read_refund(refund: Answer) -> FoundRefund:
    """A refund from Stripe's object."""
    metadata = refund["metadata"] or {}
    return FoundRefund(
        refund["id"],
        _id(refund["payment_intent"]),
        money(refund, "amount"),
        refund["status"],
        refund.get("failure_reason"),
        metadata.get("order_id"),
        metadata.get("refund_id"),
    )


def read_dispute(dispute: Answer) -> FoundDispute:
    """A dispute from Stripe's object."""
    due_by = (dispute.get("evidence_details") or {}).get("due_by")
    return FoundDispute(
        dispute["id"],
        _id(dispute["payment_intent"]),
        money(dispute, "amount"),
        dispute["reason"],
        dispute["status"],
        datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


ITEM_READERS: Mapping[str, Callable[[Answer], Found | FoundRefund | FoundDispute]] = {
    "payment_intents": read_payment,
    "refunds": read_refund,
    "disputes": read_dispute,
}
"""For each of Stripe's lists, how one of its items is read."""


def uuid_of(text: str | None) -> UUID | None:
    """The id in an object's metadata, if the shop has written one."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _id(reference: Any) -> str:
    """Stripe gives the object instead of its id where the request expanded it."""
    return str(reference["id"] if isinstance(reference, Mapping) else reference or "")


def money(answer: Answer, name: str) -> Money | None:
    """An amount of Stripe's object. `None` if the shop cannot have requested it."""
    return from_provider(answer[name], answer["currency"])


def from_provider(units: int, currency: str) -> Money | None:
    """The provider's amount in the shop's units. `None` if the shop cannot have requested it: such an amount
    equals no order's total."""
    known = CURRENCIES.get(currency.upper())
    try:
        return Money(amount=known.from_provider(units), currency=known.code) if known else None
    except ValueError:
        return None
