"""Outbox and intent rows that wait alone, with indexes for the polls; messages that were begun."""

from chassis.schema import create_v2

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_v2()
