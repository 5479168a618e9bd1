"""Notification's tables: the correspondence about each order or account, and the mails that were not sent.
Addresses are encrypted; recipients are counted by a keyed hash."""

from sqlalchemy import Boolean, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, false, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry

from chassis.storage.database import Json, chassis_tables
from notification.domain import Correspondence, KeptMail

metadata = MetaData()
chassis_tables(metadata)

correspondence = Table(
    "correspondence",
    metadata,
    Column("subject_id", Uuid, primary_key=True),
    Column("cancelled", Boolean, nullable=False),
    Column("letters", Json(dict[str, str]), nullable=False),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("anonymised", Boolean, nullable=False, server_default=false()),
    Column("begun_at", DateTime(timezone=True), nullable=False, server_default=text("now()"), index=True),
)
kept_mail = Table(
    "kept_mail",
    metadata,
    Column("key", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("payload", Json(dict), nullable=False),
    Column("fate", Text, nullable=False),
    Column("why", Text),
    Column("at", DateTime(timezone=True), nullable=False, index=True),
    Column("resends", Json(list[str]), nullable=False),
)
recipient = Table(
    "recipient",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("mailed", ARRAY(DateTime(timezone=True)), nullable=False),
)

mappers = registry(metadata=metadata)
mappers.map_imperatively(
    Correspondence,
    correspondence,
    properties={"mails": correspondence.c.letters},
    exclude_properties=["begun_at"],
)
mappers.map_imperatively(KeptMail, kept_mail)
