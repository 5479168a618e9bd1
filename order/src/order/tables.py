"""The service's tables, mapped to orders, timeline entries and staff's actions."""

from sqlalchemy import (
    Boolean,
    Column,
    FetchedValue,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import registry

from chassis.http.idempotency import idempotency_table
from chassis.storage.attempts import attempts_table
from chassis.storage.database import Json, chassis_tables
from contracts import Line, ShortLine
from order.domain import Address, DeletedAccount, MergedGuest, Order
from order.returns import Dispute, LateRefund, Return
from order.timeline import StaffAction, TimelineEntry

metadata = MetaData()
chassis_tables(metadata)
attempts_table(metadata)
idempotency_keys = idempotency_table(metadata)
_moment = TIMESTAMP(timezone=True)

orders = Table(
    "orders",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("shopper_id", Uuid, nullable=False),
    Column("lines", Json(tuple[Line, ...]), nullable=False),
    Column("total", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_method", Text, nullable=False),
    Column("contact", Text),
    Column("created_at", _moment, nullable=False),
    Column("deadline", _moment, nullable=False),
    Column("shipping", Json(Address)),
    Column("number", Text, nullable=False, server_default=FetchedValue()),
    Column("guest", Boolean),
    Column("claimed_by", Uuid),
    Column("sealed_shipping", Text),
    Column("cart_id", Uuid),
    Column("status", Text, nullable=False),
    Column("payment_id", Text),
    Column("paid_at", _moment),
    Column("cancelled_at", _moment),
    Column("cancelled_by", Text),
    Column("fulfilled_at", _moment),
    Column("returns", Json(tuple[Return, ...]), nullable=False),
    Column("returning_since", _moment),
    Column("reason", Text),
    Column("short", Json(tuple[ShortLine, ...]), nullable=False),
    Column("decline_reason", Text),
    Column("declined_at", _moment),
    Column("network", LargeBinary),
    Column("contact_hash", LargeBinary),
    Column("stock_released_at", _moment),
    Column("voided_at", _moment),
    Column("refunded_at", _moment),
    Column("refunded_rest", Integer),
    Column("late_refunds", Json(tuple[LateRefund, ...]), nullable=False),
    Column("disputes", Json(tuple[Dispute, ...]), nullable=False),
    Column("undone", Boolean, nullable=False),
    Column("nudges", Integer, nullable=False),
    Column("nudge_at", _moment),
    Column("return_url", Text),
    Column("action_url", Text),
    Column("action_expires_at", _moment),
)

merged_guests = Table(
    "merged_guests",
    metadata,
    Column("guest_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("merged_at", _moment, nullable=False),
)

deleted_account = Table(
    "deleted_account",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("deleted_at", _moment, nullable=False),
)

# The further ids of carts that were merged or bought in part.
further_carts = Table(
    "further_carts",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("cart_id", Uuid, primary_key=True),
    Index("further_carts_cart", "cart_id"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("order_id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("said_by", Text, nullable=False),
    Column("time", _moment, nullable=False),
    Column("causation_id", Text),
    Column("traceparent", Text),
    Column("data", JSONB, nullable=False),
)

staff_action = Table(
    "staff_action",
    metadata,
    Column("action_id", Uuid, primary_key=True),
    Column("order_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("done_by", Uuid, nullable=False),
    Column("done_at", _moment, nullable=False),
    Column("why", Text),
    Column("about", JSONB, nullable=False),
)

_mapping = registry(metadata=metadata)
_mapping.map_imperatively(Order, orders)
_mapping.map_imperatively(MergedGuest, merged_guests)
_mapping.map_imperatively(DeletedAccount, deleted_account)
_mapping.map_imperatively(TimelineEntry, timeline)
_mapping.map_imperatively(StaffAction, staff_action)
