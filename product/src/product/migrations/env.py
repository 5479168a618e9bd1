"""Alembic's entry."""

from chassis.migrate import run_from_env

run_from_env()
