"""Outbox and intent rows that wait alone, with indexes for the polls; messages that were begun."""

from chassis.schema import create_v2

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_v2()
