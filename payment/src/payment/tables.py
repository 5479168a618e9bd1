"""Payment's tables, and its aggregate mapped onto them."""

from sqlalchemy import Boolean, Column, Integer, MetaData, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import registry

from chassis.database import Json, chassis_tables
from contracts import OrderCreated
from payment.domain import Payment

# To the letter what the index `payment_open` says, or PostgreSQL does not use it.
IS_OPEN = text("state NOT IN ('captured', 'voided', 'refunded', 'declined', 'refused')")

metadata = MetaData()
_, _, intent = chassis_tables(metadata)

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
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

webhook = Table(
    "webhook",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("seen_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
)

registry(metadata=metadata).map_imperatively(Payment, payment, exclude_properties=["created_at"])
