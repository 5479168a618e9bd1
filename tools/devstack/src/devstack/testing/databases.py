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


@contextmanager
def empty_database(stack: Stack) -> Iterator[str]:
    """The URL of an empty database, for the superuser, who may do anything in it."""
    with _fresh(stack, "template1") as name:
        yield stack.database_url(OPERATOR, name)


@contextmanager
def migrated_copies(stack: Stack) -> Iterator[Callable[[str], str]]:
    """For a service's name the URL of a migrated database, each call's own, with the rights that the service
    has in the shop."""
    with ExitStack() as made:

        def copy(service: str) -> str:
            name = made.enter_context(_fresh(stack, run(_migrated(stack, service))))
            run(_hand_over(stack, name, service))
            return stack.database_url(service, name)

        yield copy


@contextmanager
def _fresh(stack: Stack, template: str) -> Iterator[str]:
    """A copy of the template by its name, dropped afterwards even with open connections."""
    name = f"test_{secrets.token_hex(6)}"
    run(_execute(stack, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    try:
        yield name
    finally:
        run(_execute(stack, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _migrated(stack: Stack, service: str) -> str:
    """The template's name; built by the first who asks, in any worker."""
    template, draft = f"template_{service}", f"draft_{service}"
    async with _connection(stack) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _TEMPLATES_LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
            await connection.execute(f'DROP DATABASE IF EXISTS "{draft}"')
            await connection.execute(f'CREATE DATABASE "{draft}"')
            await _hand_over(stack, draft, service)
            await migrate(service, stack.database_url(owner_of(service), draft))
            await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{template}"')
    return template


async def _hand_over(stack: Stack, database: str, service: str) -> None:
    async with _connection(stack, database) as connection:
        await hand_over(connection, database, service)


async def _execute(stack: Stack, statement: str) -> None:
    async with _connection(stack) as connection:
        await connection.execute(statement)


@asynccontextmanager
async def _connection(stack: Stack, database: str = "postgres") -> "AsyncIterator[asyncpg.Connection]":
    connection = await asyncpg.connect(stack.operator_dsn(database), timeout=15, command_timeout=60)
    try:
        yield connection
    finally:
        await connection.close()
