"""A database for every service with two roles: its owner, who migrates it, and the service, who works in it.

Each run sets all rights again, also where an earlier release has left the service as the owner.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
import unicodedata
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from chassis.tls import distrust
from shop.errors import ShopError

Connect = Callable[[str], Awaitable[Any]]  # a connection to the database of that name, as superuser

_HOME = "postgres"
_POLL_SECONDS = 0.5
_STARTING = (
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.AdminShutdownError,  # while the image's entrypoint sets things up it restarts its server once
)
_PROVIDING = 4_471_903  # any constant: the lock under which one process at a time provides

# One service's copies may have most of the server's usual 100 connections, not all of them. Without the last
# statement the server's log quotes rows that violate a constraint, e-mail addresses among them.
_ROLE = """
ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    NOINHERIT CONNECTION LIMIT 60;
ALTER ROLE {role} SET search_path = public;
ALTER ROLE {role} SET log_error_verbosity = terse;
"""
_WORK = "SELECT, INSERT, UPDATE, DELETE"
_RIGHTS = """
ALTER DATABASE {database} OWNER TO {owner};
REVOKE ALL ON DATABASE {database} FROM PUBLIC, {service};
GRANT CONNECT ON DATABASE {database} TO {service};
REASSIGN OWNED BY {service} TO {owner};
ALTER SCHEMA public OWNER TO {owner};
REVOKE ALL ON SCHEMA public FROM PUBLIC, {service};
GRANT USAGE ON SCHEMA public TO {service};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {service};
GRANT {work} ON ALL TABLES IN SCHEMA public TO {service};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {service};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT {work} ON TABLES TO {service};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {service};
"""


def owner_of(service: str) -> str:
    """The role that owns a service's database and runs its migrations."""
    return f"{service}_owner"


def connecting(dsn_of: Callable[[str], str]) -> Connect:
    """`dsn_of("order")` is the superuser's way into that database."""

    async def connect(database: str) -> Any:
        return await asyncpg.connect(dsn_of(database), timeout=15, command_timeout=60)

    return connect


async def provide(connect: Connect, services: Iterable[str], password_of: Callable[[str], str]) -> None:
    """Roles and databases of the services as they should be; `password_of` a role's name."""
    async with _connected(connect, _HOME) as home:
        await home.execute("SELECT pg_advisory_lock($1)", _PROVIDING)
        await home.execute(f"REVOKE ALL ON DATABASE {_HOME}, template1 FROM PUBLIC")
        for service in services:
            for role in (service, owner_of(service)):
                await _provide_role(home, role, password_of(role))
            if not await home.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", service):
                await home.execute(f"CREATE DATABASE {_quoted(service)}")
            async with _connected(connect, service) as connection:
                await hand_over(connection, service, service)


async def provide_when_up(
    connect: Connect, services: Iterable[str], password_of: Callable[[str], str], timeout: float
) -> None:
    """The same, of a server that may still be starting. Raises ShopError when it stays away or refuses."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return await provide(connect, services, password_of)
        except (OSError, TimeoutError, *_STARTING) as error:
            if why := distrust(error):
                raise ShopError(f"PostgreSQL's certificate: {why}; see SHOP_DATABASE_CA_FILE") from error
            if time.monotonic() > deadline:
                raise ShopError(f"PostgreSQL did not answer within {timeout:g} s: {error!r}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ShopError(f"PostgreSQL refused: {error}") from error
        await asyncio.sleep(_POLL_SECONDS)


async def hand_over(connection: Any, database: str, service: str) -> None:
    """Give the connected database to the service's owner, and to the service what it needs for its work."""
    names = {"database": database, "owner": owner_of(service), "service": service}
    quoted = {name: _quoted(value) for name, value in names.items()}
    async with connection.transaction():
        await connection.execute(_RIGHTS.format(work=_WORK, **quoted))


async def _provide_role(home: Any, role: str, password: str) -> None:
    if not await home.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await home.execute(f"CREATE ROLE {_quoted(role)}")
    await home.execute(_ROLE.format(role=_quoted(role)))
    await home.execute(f"ALTER ROLE {_quoted(role)} PASSWORD '{verifier(password)}'")


@asynccontextmanager
async def _connected(connect: Connect, database: str) -> AsyncIterator[Any]:
    connection = await connect(database)
    try:
        yield connection
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    """`order` is a word of SQL."""
    return '"' + name.replace('"', '""') + '"'


_ITERATIONS = 4096  # as PostgreSQL itself has it; every login pays for them


def verifier(password: str) -> str:
    """A SCRAM-SHA-256 secret. Source: RFC 5803."""
    salt = secrets.token_bytes(16)
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = (b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *encoded)
