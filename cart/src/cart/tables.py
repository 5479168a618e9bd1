"""Cart's tables: one row a shopper, and one an order that was taken out of a cart."""

from sqlalchemy import Column, MetaData, Table, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import registry

from cart.domain import Cart, TakenOut
from chassis.database import Json, chassis_tables

metadata = MetaData()
chassis_tables(metadata)

cart = Table(
    "cart",
    metadata,
    Column("owner_id", Uuid, primary_key=True),
    Column("items", Json(dict[str, int]), nullable=False),
    Column("merged_into", Uuid),
)

taken_out = Table(
    "taken_out",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("at", TIMESTAMP(timezone=True), nullable=False),
)

_mappers = registry(metadata=metadata)
_mappers.map_imperatively(Cart, cart)
_mappers.map_imperatively(TakenOut, taken_out)
