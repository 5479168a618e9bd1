"""Alembic's entry."""

from chassis.runtime.migrate import run_from_env

run_from_env()
