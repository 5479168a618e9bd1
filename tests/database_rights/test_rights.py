"""Rights in PostgreSQL, tried on a real server: each role in each database, and an attacker's attempts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from devstack import Stack
from shop.provision.databases import owner_of
from shop.targets import OPERATOR, SERVICES

OWNERS = tuple(owner_of(service) for service in SERVICES)
DATABASES = (*SERVICES, "postgres", "template1")
NOT_FOR_A_SERVICE = (
    "CREATE TABLE more (id int)",
    "CREATE TEMPORARY TABLE more (id int)",
    "CREATE SCHEMA more",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE more",
    "ALTER DATABASE {service} CONNECTION LIMIT 1",
    "ALTER ROLE {service} SUPERUSER",
    "ALTER ROLE {service} CONNECTION LIMIT -1",
    "SET ROLE {owner}",
    "SET SESSION AUTHORIZATION {owner}",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/more'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT rolpassword FROM pg_authid",
)
NOT_WITH_ITS_TABLES = (
    "DROP TABLE {table}",
    "TRUNCATE {table}",
    "ALTER TABLE {table} ADD more int",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "CREATE INDEX ON {table} ((1))",
    "CREATE TRIGGER more BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=15, command_timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def allowed(connection: Any, statements: list[str]) -> list[str]:
    """Which of them are not refused for want of a right."""
    passed = []
    for statement in statements:
        attempt = connection.transaction()
        await attempt.start()
        try:
            await connection.execute(statement)
            passed.append(statement)
        except asyncpg.InsufficientPrivilegeError:
            pass
        finally:
            await attempt.rollback()
    return passed


@pytest.mark.parametrize(
    ("role", "own"), [*zip(SERVICES, SERVICES, strict=True), *zip(OWNERS, SERVICES, strict=True)]
)
async def test_a_role_can_connect_to_its_own_database_alone(
    postgres_server: Stack, role: str, own: str
) -> None:
    reached = set()
    for database in DATABASES:
        try:
            async with connected(postgres_server.database_url(role, database)) as connection:
                reached.add(await connection.fetchval("SELECT current_database()"))
        except asyncpg.InsufficientPrivilegeError:
            continue

    assert reached == {own}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_not_change_its_schema(migrated: Callable[[str], str], service: str) -> None:
    async with connected(migrated(service)) as connection:
        tables = await tables_of(connection)
        names = {"service": f'"{service}"', "owner": owner_of(service)}
        attempts = [statement.format(**names) for statement in NOT_FOR_A_SERVICE]
        attempts += [f.format(table=f'"{table}"') for table in tables for f in NOT_WITH_ITS_TABLES]

        assert len(tables) > 1
        assert await allowed(connection, attempts) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_read_and_write_every_table_of_its_own(
    migrated: Callable[[str], str], service: str
) -> None:
    """Rights alone: what it does with them, its own tests show, in databases like this one."""
    async with connected(migrated(service)) as connection:
        for table in await tables_of(connection):
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                assert await connection.fetchval("SELECT has_table_privilege($1, $2)", f'"{table}"', right)


async def test_a_service_may_use_tables_of_later_migrations(
    postgres_server: Stack, migrated: Callable[[str], str]
) -> None:
    url = migrated("order")
    owners = of_the_owner(postgres_server, "order", url)
    async with connected(url) as service, connected(owners) as owner:
        await owner.execute("CREATE TABLE later (id serial PRIMARY KEY, word text)")

        await service.execute("INSERT INTO later (word) VALUES ('first'), ('second')")
        await service.execute("UPDATE later SET word = 'again' WHERE word = 'first'")
        assert await service.fetchval("DELETE FROM later WHERE word = 'again' RETURNING id") == 1
        assert await allowed(service, ["DROP TABLE later", "TRUNCATE later RESTART IDENTITY"]) == []


async def test_only_the_operator_is_more_than_a_login(postgres_server: Stack) -> None:
    async with connected(postgres_server.operator_dsn()) as connection:
        powerful = await connection.fetch(
            """SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication
                  OR rolbypassrls"""
        )
        members = await connection.fetch(
            "SELECT member::regrole::text FROM pg_auth_members WHERE member = ANY($1::regrole[])",
            [f'"{role}"' for role in (*SERVICES, *OWNERS)],
        )

    assert [row["rolname"] for row in powerful] == [OPERATOR]
    assert members == []


async def test_one_service_cannot_take_all_connections(postgres_server: Stack) -> None:
    async with connected(postgres_server.operator_dsn()) as connection:
        most = await connection.fetchval("SELECT current_setting('max_connections')::int")
        limits = await connection.fetch(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname = ANY($1)", [*SERVICES, *OWNERS]
        )

    assert len(limits) == len(SERVICES) + len(OWNERS)
    assert all(0 < row["rolconnlimit"] < most for row in limits)


async def tables_of(connection: Any) -> list[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [row["tablename"] for row in rows]


def of_the_owner(server: Stack, service: str, url: str) -> str:
    """The URL of the same database for the role that migrates it."""
    return server.database_url(owner_of(service), make_url(url).database)
