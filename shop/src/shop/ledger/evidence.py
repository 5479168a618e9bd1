"""What the checks look at: databases, the provider's ledger, the mailbox and the queues, as plain data."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True)
class ReturnRecord:
    """Something that goes back of an order, as order has it; `lines` is what is restocked, sku to pieces. Not
    `is_due`: it is only requested, or was rejected. `by`: who decided it."""

    return_id: str
    amount: int
    lines: Mapping[str, int] = field(default_factory=dict)
    is_due: bool = True
    restocked: bool = True
    refunded: bool = True
    by: str = "return"


@dataclass(frozen=True)
class LateRefundRecord:
    """A refund that came back to the shop, or if not `failed`, one that was made again."""

    refund_id: str
    amount: int
    failed: bool = True


@dataclass(frozen=True)
class OrderRecord:
    """An order as order has it; `lines` is sku to quantity, `total` in minor units."""

    order_id: str
    status: str
    reason: str | None
    total: int
    currency: str
    lines: Mapping[str, int]
    deadline: datetime
    timeline: frozenset[str] = frozenset()  # event types in its timeline
    guest: bool | None = None
    cart_ids: tuple[str, ...] = ()  # all ids of its cart
    returns: tuple[ReturnRecord, ...] = ()
    late: tuple[LateRefundRecord, ...] = ()
    rest: int | None = None  # what went back when it was cancelled, besides the parts; `None`: not known
    disputes: Mapping[str, str] = field(default_factory=dict)  # the shop's id of a dispute to its status

    @property
    def refunded(self) -> int:
        """What went back of it in parts."""
        return sum(one.amount for one in self.returns if one.refunded)

    @property
    def owed(self) -> int:
        """Refunded money that came back to the shop, because a refund failed later."""
        return max(0, sum(one.amount if one.failed else -one.amount for one in self.late))

    @property
    def kept(self) -> int:
        """What the shop has of it once it is cancelled: what came back, unless it was given back by hand."""
        parts = 0 if self.rest is None else self.refunded
        rest = self.total if self.rest is None else self.rest
        return max(0, self.total - parts - rest + self.owed)


@dataclass(frozen=True)
class CartRecord:
    """A cart that holds something, the ids that its order may name, and the orders that bought from it."""

    owner_id: str
    ids: tuple[str, ...]
    bought: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefundRecord:
    """A refund as the provider has it, in its own units. `order_id` and `refund_id` are what the shop has
    written on it: without them somebody made it in the provider's dashboard."""

    id: str
    amount: int
    status: str
    order_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class DisputeRecord:
    """A dispute as the provider has it, or as payment does."""

    id: str
    status: str
    amount: int


@dataclass(frozen=True)
class ChargeRecord:
    """A payment as the provider has it, in the provider's own units."""

    payment_id: str
    order_id: str | None
    status: str
    authorized: int
    captured: int
    refunded: int
    currency: str
    refunds: tuple[RefundRecord, ...] = ()
    disputes: tuple[DisputeRecord, ...] = ()

    @property
    def lost(self) -> int:
        """What the shopper's bank has taken for good."""
        return sum(one.amount for one in self.disputes if one.status == "lost")


@dataclass(frozen=True)
class StockRecord:
    sku: str
    on_hand: int
    reserved: int
    sold: int
    received: int


@dataclass(frozen=True)
class MailRecord:
    order_id: str | None
    reason: str | None
    message_id: str | None = None
    refund_id: str | None = None  # of a mail about a part of an order's money

    @property
    def subject(self) -> str | None:
        """What it is about: an order, or one refund of it."""
        return self.refund_id or self.order_id


@dataclass(frozen=True)
class KeptMailRecord:
    """A mail that notification keeps because it was not sent, or not at first."""

    subject_id: str
    reason: str
    fate: str
    why: str | None = None
    resends: int = 0


@dataclass(frozen=True)
class Evidence:
    """All of it, collected when nothing was in progress any more."""

    now: datetime
    orders: tuple[OrderRecord, ...] = ()
    payments: Mapping[str, str] = field(default_factory=dict)  # order to payment's state
    disputes: Mapping[str, str] = field(default_factory=dict)  # the provider's id of a dispute to its status
    charges: tuple[ChargeRecord, ...] = ()
    balances: bool = True
    stock: tuple[StockRecord, ...] = ()
    holds: Mapping[str, str] = field(default_factory=dict)  # order to the state of its hold
    refunds: Mapping[str, str] = field(default_factory=dict)  # refund of a part to its state in payment
    restocked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # return to sku to pieces
    mails: tuple[MailRecord, ...] = ()
    fates: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict
    )  # subject to reason to fate of a mail
    kept: tuple[KeptMailRecord, ...] = ()
    carts: tuple[CartRecord, ...] = ()
    logged_in: Mapping[str, str] = field(default_factory=dict)  # guest to account, as auth has it
    moved: Mapping[str, str] = field(default_factory=dict)  # and as order has it
    put_off: frozenset[tuple[str, str]] = frozenset()  # subject and reason of mails that wait for an hour
    queues: Mapping[str, int] = field(default_factory=dict)  # queue to messages in it
    outboxes: Mapping[str, int] = field(default_factory=dict)  # service to events not yet published
    intents: Mapping[str, int] = field(default_factory=dict)  # service to calls without an outcome
    trespassers: tuple[str, ...] = ()  # "role -> database" that may connect and should not

    def orders_of(self, status: str) -> list[OrderRecord]:
        return [order for order in self.orders if order.status == status]

    @cached_property
    def charges_by_order(self) -> Mapping[str, list[ChargeRecord]]:
        """Empty lists for orders without a charge."""
        found: defaultdict[str, list[ChargeRecord]] = defaultdict(list)
        for charge in self.charges:
            found[charge.order_id or ""].append(charge)
        return found
