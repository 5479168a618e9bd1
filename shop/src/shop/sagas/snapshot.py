"""A snapshot of sagas: the services' own rows, open calls, unpublished events; and issues found in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from notification.operations import Correspondence
from order import operations as order_operations
from order.operations import Order
from payment.operations import Dispute, Payment, Refund, Stray
from product.operations import Hold
from shop.broker.checking import BrokerIssue
from shop.dead_letters.dead_letter import DeadLetter


@dataclass(frozen=True)
class OpenCall:
    """A remote call without a known outcome."""

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
class UndeliveredMail:
    """A mail that was not sent. If its fate is `put_off`, it will be; others need an operator."""

    id: str
    reason: str
    subject_id: UUID
    fate: str
    why: str | None
    at: datetime
    resends: int
    order_id: UUID | None = None  # where the subject is a refund of it


@dataclass(frozen=True)
class UnpublishedEvent:
    """An event in an outbox. `subject` is the order, unless the event has its own; `attempts` counts the
    broker's refusals, `error` is the last one."""

    service: str
    type: str
    subject: UUID
    since: datetime
    leased_until: datetime
    attempts: int = 0
    error: str | None = None
    order_id: UUID | None = None


@dataclass(frozen=True)
class QueueState:
    name: str
    messages: int
    consumers: int


@dataclass(frozen=True)
class BouncedRefund:
    """A refund that failed later, by its first id; `refused` counts how often it was made again."""

    refund_id: UUID
    order_id: UUID
    amount: int
    code: str | None
    refused: int
    since: datetime


@dataclass(frozen=True)
class Snapshot:
    """Orders by id, with the other services' rows about them.

    `refunds` are partial refunds, by their own ids; `timelines` are the event types of each order's timeline.
    Not `complete`: there was more than the limit.
    """

    now: datetime
    orders: Mapping[UUID, Order] = field(default_factory=dict)
    timelines: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
    payments: Mapping[UUID, Payment] = field(default_factory=dict)
    refunds: Mapping[UUID, Refund] = field(default_factory=dict)
    holds: Mapping[UUID, Hold] = field(default_factory=dict)
    correspondence: Mapping[UUID, Correspondence] = field(default_factory=dict)
    calls: tuple[OpenCall, ...] = ()
    undeliverable: tuple[UndeliveredMail, ...] = ()
    bounced: tuple[BouncedRefund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    strays: tuple[Stray, ...] = ()
    unpublished: tuple[UnpublishedEvent, ...] = ()
    queues: tuple[QueueState, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    broker_issues: tuple[BrokerIssue, ...] = ()
    complete: bool = True

    def missing_compensations(self, order: Order) -> list[str]:
        """Event types of compensations that the order still misses."""
        return order_operations.missing_compensations(order, self.timelines.get(order.order_id, frozenset()))


@dataclass(frozen=True)
class Issue:
    """Something stuck. `kind` is for scripts, `next` is one or more commands to paste."""

    kind: str
    order_id: UUID | None
    since: datetime | None
    means: str
    next: str
    number: str | None = None

    @classmethod
    def to_nudge(cls, kind: str, order_id: UUID, since: datetime | None, means: str) -> "Issue":
        """One that ends when every service publishes its events about the order again."""
        return cls(kind, order_id, since, means, nudge_command(order_id))


def nudge_command(order_id: UUID | str) -> str:
    """The command with which every service publishes its events about the order again."""
    return f"shop saga nudge {order_id} --why TEXT"
