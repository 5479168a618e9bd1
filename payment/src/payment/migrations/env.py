"""Alembic needs this file; the chassis knows what is in it."""

from chassis.migrate import run_from_env

run_from_env()
