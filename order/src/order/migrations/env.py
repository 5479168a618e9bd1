"""Alembic needs the file; the chassis does the work."""

from chassis.migrate import run_from_env

run_from_env()
