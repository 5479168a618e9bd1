"""One row for each order or account that there is correspondence about; it holds no address."""

from sqlalchemy import Boolean, Column, MetaData, Table, Uuid
from sqlalchemy.orm import registry

from chassis.database import Json, chassis_tables
from notification.domain import Correspondence

metadata = MetaData()
chassis_tables(metadata)

correspondence = Table(
    "correspondence",
    metadata,
    Column("subject_id", Uuid, primary_key=True),
    Column("cancelled", Boolean, nullable=False),
    Column("letters", Json(dict[str, str]), nullable=False),
)

registry(metadata=metadata).map_imperatively(Correspondence, correspondence)
