"""What is known of sagas when they are looked at: the services' own rows, and what is on its way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from notification.domain import Correspondence
from order.domain import Order
from payment.disputes import Dispute
from payment.domain import Payment
from payment.reconciliation import Stray
from payment.refunds import Refund
from product.domain import Hold
from shop.broker.issue import BrokerIssue
from shop.dead_letters.dead_letter import DeadLetter

GAVE_BACK = ("voided", "refunded")
"""Payment's states of an order whose money was held or taken, and which has said that it gave it back."""


@dataclass(frozen=True)
class CallSeen:
    """A remote call whose outcome is not known."""

    service: str
    kind: str
    subject: UUID
    since: datetime
    attempts: int
    error: str | None
    about: UUID | None = None  # the order, where the subject is a refund of it

    @property
    def order_id(self) -> UUID:
        return self.about or self.subject


@dataclass(frozen=True)
class MailSeen:
    """A mail that has not gone out. `id` names it; the fate `put_off` ends by itself, the others do not."""

    id: str
    reason: str
    subject_id: UUID
    fate: str
    why: str | None
    at: datetime
    resends: int
    order_id: UUID | None = None  # where the subject is a refund of it


@dataclass(frozen=True)
class UnsaidSeen:
    """An event in an outbox. `subject` is the order, unless the event has one of its own; `attempts` is how
    often the broker refused it, `error` what it said last."""

    service: str
    type: str
    subject: UUID
    since: datetime
    leased_until: datetime
    attempts: int = 0
    error: str | None = None
    order_id: UUID | None = None


@dataclass(frozen=True)
class QueueSeen:
    name: str
    messages: int
    consumers: int


@dataclass(frozen=True)
class BouncedSeen:
    """A refund that came back, by its first id; `refused` is how often it was made again."""

    refund_id: UUID
    order_id: UUID
    amount: int
    code: str | None
    refused: int
    since: datetime


@dataclass(frozen=True)
class Seen:
    """Orders by id with what the other services have of them; `refunds` are those of parts, by their own id;
    `told` is each order's timeline, by types.

    Not `complete`: there was more than it was asked to look at.
    """

    now: datetime
    orders: Mapping[UUID, Order] = field(default_factory=dict)
    told: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
    payments: Mapping[UUID, Payment] = field(default_factory=dict)
    refunds: Mapping[UUID, Refund] = field(default_factory=dict)
    holds: Mapping[UUID, Hold] = field(default_factory=dict)
    letters_to: Mapping[UUID, Correspondence] = field(default_factory=dict)
    calls: tuple[CallSeen, ...] = ()
    undeliverable: tuple[MailSeen, ...] = ()
    bounced: tuple[BouncedSeen, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    strays: tuple[Stray, ...] = ()
    unsaid: tuple[UnsaidSeen, ...] = ()
    queues: tuple[QueueSeen, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    broker: tuple[BrokerIssue, ...] = ()
    complete: bool = True

    def owes(self, order: Order) -> list[str]:
        """What has still to be undone of it."""
        return order.owes(self.told.get(order.order_id, frozenset()))
