"""Databases for tests: empty, or copied from a template that a service's migrations have filled once."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import asyncpg

from chassis.migrate import migrate
from devstack import Stack
from devstack.testing.session import run
from shop.provision.databases import hand_over, owner_of
from shop.targets import OPERATOR

_TEMPLATES_LOCK = 918_273  # any constant: the advisory lock under which templates are built


class PostgresServer:
    """URLs are for SQLAlchemy. An empty database's names the superuser, who may do anything in it; that of a
    service's copy names the service, with the rights that it has in the shop."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def url(self, database: str) -> str:
        return self.stack.database_url(OPERATOR, database)

    def dsn(self, database: str = "postgres") -> str:
        """For asyncpg and psql."""
        return self.stack.operator_dsn(database)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database."""
        with self._fresh("template1") as name:
            yield self.url(name)

    @contextmanager
    def copies(self) -> Iterator[Callable[[str], str]]:
        """For a service's name the URL of a migrated database, each call's own."""
        with ExitStack() as made:

            def copy(service: str) -> str:
                name = made.enter_context(self._fresh(run(self._migrated(service))))
                run(self._hand_over(name, service))
                return self.stack.database_url(service, name)

            yield copy

    @contextmanager
    def _fresh(self, template: str) -> Iterator[str]:
        """A copy of the template by its name, dropped afterwards even with open connections."""
        name = f"test_{secrets.token_hex(6)}"
        run(self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        try:
            yield name
        finally:
            run(self._execute(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def _migrated(self, service: str) -> str:
        """The template's name; built by the first who asks, in any worker."""
        template, draft = f"template_{service}", f"draft_{service}"
        async with self._connection() as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", _TEMPLATES_LOCK)
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
                await connection.execute(f'DROP DATABASE IF EXISTS "{draft}"')
                await connection.execute(f'CREATE DATABASE "{draft}"')
                await self._hand_over(draft, service)
                await migrate(service, self.stack.database_url(owner_of(service), draft))
                await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{template}"')
        return template

    async def _hand_over(self, database: str, service: str) -> None:
        async with self._connection(database) as connection:
            await hand_over(connection, database, service)

    async def _execute(self, statement: str) -> None:
        async with self._connection() as connection:
            await connection.execute(statement)

    @asynccontextmanager
    async def _connection(self, database: str = "postgres") -> "AsyncIterator[asyncpg.Connection]":
        connection = await asyncpg.connect(self.dsn(database), timeout=15, command_timeout=60)
        try:
            yield connection
        finally:
            await connection.close()
