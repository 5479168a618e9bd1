"""Alembic asks for this file; the chassis knows what to do."""

from chassis.migrate import run_from_env

run_from_env()
