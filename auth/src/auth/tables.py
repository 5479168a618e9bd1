"""Auth's tables, and the mapping of accounts and sessions to them."""

from sqlalchemy import Boolean, Column, ForeignKey, LargeBinary, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import registry

from auth.domain import Account, MailedToken, Session
from chassis.storage.attempts import attempts_table
from chassis.storage.database import Json, chassis_tables

metadata = MetaData()
chassis_tables(metadata)
attempts_table(metadata)
_moment = TIMESTAMP(timezone=True)

account = Table(
    "account",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("registered_at", _moment, nullable=False),
    Column("email_verified_at", _moment),
)
session = Table(
    "session",
    metadata,
    Column("session_id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("account.account_id"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("started_at", _moment, nullable=False),
    Column("expires_at", _moment, nullable=False),
    Column("ended_at", _moment),
    Column("successor_salt", LargeBinary),
    Column("renewed_at", _moment),
)
merged_guest = Table(
    "merged_guest",
    metadata,
    Column("guest_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("merged_at", _moment, nullable=False),
)
mailed_token = Table(
    "mailed_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account_id", Uuid, ForeignKey("account.account_id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("expires_at", _moment, nullable=False),
)
address = Table(
    "address",
    metadata,
    Column("account_id", Uuid, ForeignKey("account.account_id"), primary_key=True),
    Column("address_id", Uuid, primary_key=True),
    Column("address", Json(dict[str, str]), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("saved_at", _moment, nullable=False),
)
_mapper = registry(metadata=metadata)
_mapper.map_imperatively(Account, account)
_mapper.map_imperatively(Session, session)
_mapper.map_imperatively(MailedToken, mailed_token)
