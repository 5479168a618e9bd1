"""`migrate auth …`: runs services' database migrations, in one process for all of them."""

import argparse
import asyncio
import os
from importlib.resources import files

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.runtime.settings import DatabaseSettings, load

# The key of an advisory lock, any constant: only one migration at a time runs in a database.
_LOCK = 7264201


def main() -> None:
    """Reads `<SERVICE>_DATABASE_URL` for each service, or `DATABASE_URL` for a single one, and likewise the
    password if the URL has none. Exits with 78 when one is missing."""
    parser = argparse.ArgumentParser(prog="migrate", description=__doc__)
    parser.add_argument("services", nargs="+")
    services: list[str] = parser.parse_args().services
    for service in services:
        asyncio.run(migrate(service, _settings(service).database_url))


def _settings(service: str) -> DatabaseSettings:
    alone = os.environ.get("DATABASE_URL") and not os.environ.get(f"{service.upper()}_DATABASE_URL")
    return load(DatabaseSettings, prefix=None if alone else f"{service.upper()}_")


async def migrate(service: str, url: str, revision: str = "head") -> None:
    """Run a service's migrations up to `revision`. Another process that migrates the same database waits."""
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": 15})
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade, service, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files(f"{service}.migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def run_from_env() -> None:
    """Called by every service's `migrations/env.py`, a file that Alembic requires."""
    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()
