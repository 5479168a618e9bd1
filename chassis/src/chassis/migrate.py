"""`migrate auth …`: runs services' database migrations, in one process for all of them."""

import argparse
import asyncio
import os
from importlib.resources import files

import stamina
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis.runtime.settings import DatabaseSettings, load
from chassis.secret_files import PasswordFile
from chassis.storage.database import opening
from chassis.tls import distrust, split_database_url

# The key of an advisory lock, any constant: only one migration at a time runs in a database.
_LOCK = 7264201

# A statement that waits for a table's lock makes all that come after it wait, too. It gives up after this
# time, lets them pass and tries again.
_LOCK_TIMEOUT_MS = 2_000
_PATIENCE_SECONDS = 300
_ALONE_SECONDS = 3_600
_NOT_GRANTED = ("55P03", "40P01")  # lock not available, deadlock detected


def main() -> None:
    """Reads `<SERVICE>_DATABASE_URL` for each service, or `DATABASE_URL` for a single one, and likewise the
    password if the URL has none, and the CA file for TLS. Exits with 78 when one is missing."""
    parser = argparse.ArgumentParser(prog="migrate", description=__doc__)
    parser.add_argument("services", nargs="+")
    services: list[str] = parser.parse_args().services
    for service in services:
        try:
            settings = _settings(service)
            given = settings.database_password_file
            asyncio.run(migrate(service, settings.database_url, password_file=given))
        except DBAPIError as error:
            if not _is_lock_not_granted(error):
                raise
            raise SystemExit(
                f"migrate: {service}: a lock was not granted for {_PATIENCE_SECONDS} s. "
                "Find who holds it in pg_locks, end that transaction and run this again."
            ) from None
        except OSError as error:
            if not (reason := distrust(error)):
                raise
            raise SystemExit(
                f"migrate: {service}: PostgreSQL's certificate: {reason}; see DATABASE_CA_FILE"
            ) from None


def _settings(service: str) -> DatabaseSettings:
    alone = os.environ.get("DATABASE_URL") and not os.environ.get(f"{service.upper()}_DATABASE_URL")
    return load(DatabaseSettings, prefix=None if alone else f"{service.upper()}_")


async def migrate(
    service: str, url: str, revision: str = "head", *, password_file: PasswordFile | None = None
) -> None:
    """Run a service's migrations up to `revision`, each in a transaction of its own. Another process that
    migrates the same database waits. Raises `DBAPIError` when a lock is not granted for five minutes."""
    address, tls = split_database_url(url)
    engine = create_async_engine(
        address,
        hide_parameters=True,
        connect_args={
            **tls,
            "async_creator_fn": opening(password_file),
            "timeout": 15,
            "server_settings": {"lock_timeout": str(_LOCK_TIMEOUT_MS)},
        },
    )
    retrying = stamina.AsyncRetryingCaller(
        attempts=None, timeout=_PATIENCE_SECONDS, wait_initial=0.5, wait_max=10
    )
    try:
        async with engine.connect() as connection:
            await _lock(connection)
            await retrying(_is_lock_not_granted, _try_upgrade, connection, service, revision)
    finally:
        await engine.dispose()


def _is_lock_not_granted(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _NOT_GRANTED


async def _lock(connection: AsyncConnection) -> None:
    """Wait until no other process migrates this database; the lock lasts until the connection ends. No
    transaction is open meanwhile, because an index that is created concurrently waits for all of them."""
    async with asyncio.timeout(_ALONE_SECONDS):
        while not await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            await connection.rollback()
            await asyncio.sleep(0.5)
    await connection.commit()


async def _try_upgrade(connection: AsyncConnection, service: str, revision: str) -> None:
    try:
        await connection.run_sync(_upgrade, service, revision)
    except DBAPIError:
        await connection.rollback()
        raise


def _upgrade(connection: Connection, service: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files(f"{service}.migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def run_from_env() -> None:
    """Called by every service's `migrations/env.py`, a file that Alembic requires."""
    context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
