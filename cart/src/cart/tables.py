"""Cart's table: one row a shopper."""

from sqlalchemy import Column, MetaData, Table, Uuid
from sqlalchemy.orm import registry

from cart.domain import Cart
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

registry(metadata=metadata).map_imperatively(Cart, cart)
