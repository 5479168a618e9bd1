"""Payment's tables, and its aggregate mapped onto them."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import registry

from chassis.storage.database import Json, chassis_tables
from contracts import OrderCreated
from payment.disputes import Dispute
from payment.domain import Payment
from payment.lookups import Reconciliation, Stray
from payment.refunds import Refund

# Must equal the predicates of the indexes `payment_open` and `refund_open`, or PostgreSQL does not use them.
REFUND_IS_OPEN = "state IN ('refunding', 'refund_failed')"
IS_OPEN = "state NOT IN ('captured', 'voided', 'refunded', 'declined', 'refused')"

metadata = MetaData()
chassis_tables(metadata)

payment = Table(
    "payment",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    Column("order_created", Json(OrderCreated), key="order"),
    Column("stock_reserved", Boolean, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("payment_id", Text),
    Column("code", Text),
    Column("refunds_refused", Integer, nullable=False),
    Column("refund_at", TIMESTAMP(timezone=True)),
    Column("action_url", Text),
    Column("action_expires_at", TIMESTAMP(timezone=True)),
    Column("news", Integer, nullable=False),
    Column("refunds", Json(dict[str, int]), nullable=False),
    Column("disputes", Json(tuple[str, ...]), nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

refund = Table(
    "refund",
    metadata,
    Column("refund_id", Uuid, primary_key=True),
    Column("order_id", Uuid, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text),
    Column("refused", Integer, nullable=False),
    Column("refund_at", TIMESTAMP(timezone=True)),
    Column("again_of", Uuid),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

webhook = Table(
    "webhook",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("seen_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

dispute = Table(
    "dispute",
    metadata,
    Column("dispute_id", Uuid, primary_key=True),
    Column("order_id", Uuid, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("amount", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_by", TIMESTAMP(timezone=True)),
    Column("noted_at", TIMESTAMP(timezone=True), nullable=False),
)

stray = Table(
    "stray",
    metadata,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False),
    Column("seen_at", TIMESTAMP(timezone=True), nullable=False),
    Column("settled_at", TIMESTAMP(timezone=True)),
)

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("began_at", TIMESTAMP(timezone=True), nullable=False),
    Column("ended_at", TIMESTAMP(timezone=True)),
)

_mappers = registry(metadata=metadata)
_mappers.map_imperatively(Payment, payment, exclude_properties=["created_at"])
_mappers.map_imperatively(Refund, refund, exclude_properties=["created_at"])
_mappers.map_imperatively(Dispute, dispute)
_mappers.map_imperatively(Stray, stray)
_mappers.map_imperatively(Reconciliation, reconciliation)
