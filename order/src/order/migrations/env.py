"""Alembic needs the file; the chassis does the work."""

from chassis.runtime.migrate import run_from_env

run_from_env()
