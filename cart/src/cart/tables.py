"""Cart's tables: a row for each shopper, and one for each order whose lines were removed from a cart."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    FetchedValue,
    Index,
    MetaData,
    Table,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.orm import registry

from cart.domain import Cart, TakenOut
from chassis.http.idempotency import idempotency_table
from chassis.storage.database import Json, chassis_tables

metadata = MetaData()
chassis_tables(metadata)
idempotency_table(metadata)

cart = Table(
    "cart",
    metadata,
    Column("owner_id", Uuid, primary_key=True),
    Column("items", Json(dict[str, int]), nullable=False),
    Column("merged_into", Uuid),
    Column("ids", ARRAY(Uuid, as_tuple=True), nullable=False, server_default=FetchedValue()),
    Column("bought", ARRAY(Uuid, as_tuple=True), nullable=False, server_default=text("'{}'")),
    Column("guest", Boolean, nullable=False, server_default=false()),
    Column("touched_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Index("cart_touched", "guest", "touched_at"),
)

taken_out = Table(
    "taken_out",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("at", TIMESTAMP(timezone=True), nullable=False),
)

_mappers = registry(metadata=metadata)
_mappers.map_imperatively(Cart, cart, exclude_properties=["guest", "touched_at", "version"])
_mappers.map_imperatively(TakenOut, taken_out)
