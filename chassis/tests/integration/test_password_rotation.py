"""A password changes while connections are made: none is refused meanwhile, and afterwards the old one is."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from yarl import URL

from chassis.messaging import broker
from chassis.runtime import wakeup
from chassis.secret_files import PasswordFile
from chassis.storage import database
from devstack.testing.broker import Broker

_EACH_STEP = 5  # connections before the rotation goes on


@dataclass
class Connecting:
    """Something that connects again and again."""

    connect: Callable[[], Awaitable[None]]
    made: int = 0

    async def go_on(self) -> None:
        while True:
            await self.connect()
            self.made += 1

    async def some_more(self) -> None:
        before = self.made
        async with asyncio.timeout(60):
            while self.made < before + _EACH_STEP:
                await asyncio.sleep(0.01)


@pytest.fixture
def file(tmp_path: Path) -> PasswordFile:
    file = PasswordFile(tmp_path / "password")
    file.path.write_text("old p@ss/w:rd%\n")
    return file


async def rotated(
    file: PasswordFile, connecting: Connecting, server: Callable[[str], Awaitable[None]]
) -> None:
    """The three steps, with some connections before and after each."""
    [old], new = file.read(), "new p@ss/w:rd%"
    async with asyncio.TaskGroup() as group:  # ends with the first connection that fails
        going_on = group.create_task(connecting.go_on())
        await connecting.some_more()
        file.path.write_text(f"{new}\n{old}\n")
        await connecting.some_more()
        await server(new)
        await connecting.some_more()
        file.path.write_text(f"{new}\n")
        await connecting.some_more()
        going_on.cancel()


@dataclass
class Role:
    """A role of PostgreSQL, and an engine that connects as it with the password in a file."""

    operator: AsyncEngine
    name: str
    engine: AsyncEngine

    async def execute(self, statement: str) -> None:
        async with self.operator.begin() as connection:
            await connection.execute(text(statement))

    async def set_password(self, password: str) -> None:
        await self.execute(f"ALTER ROLE {self.name} PASSWORD '{password}'")

    async def connect(self) -> None:
        """A new connection each time."""
        async with self.engine.connect() as connection:
            assert await connection.scalar(text("SELECT current_user")) == self.name
            await connection.invalidate()


@pytest.fixture
async def role(postgres: str, file: PasswordFile) -> AsyncIterator[Role]:
    name = f"role_{secrets.token_hex(4)}"
    url = make_url(postgres)._replace(username=name, password=None).render_as_string()
    role = Role(
        database.connect(postgres, pool_size=2, statement_timeout=10),
        name,
        database.connect(url, password_file=file, pool_size=2, statement_timeout=10),
    )
    await role.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{file.choose()}'")
    yield role
    await role.engine.dispose()
    await role.execute(f"DROP ROLE {name}")
    await role.operator.dispose()


async def test_no_connection_to_postgresql_is_refused_during_a_rotation(
    role: Role, file: PasswordFile
) -> None:
    old = file.choose()
    async with role.engine.connect() as before:
        await before.execute(text("SELECT 1"))
        await rotated(file, Connecting(role.connect), role.set_password)
        assert await before.scalar(text("SELECT 1")) == 1, "an open connection goes on"

    file.path.write_text(old)
    with pytest.raises(DBAPIError, match="password authentication failed"):
        await role.connect()


async def test_a_listener_that_connects_again_uses_the_new_password(
    role: Role, file: PasswordFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "_RECONNECT_SECONDS", (0.05, 0.05))
    woken = asyncio.Event()
    listening = asyncio.create_task(wakeup.listen(role.engine, woken.set))
    async with asyncio.timeout(30):
        await woken.wait()
        await role.set_password("another")
        file.path.write_text("another")
        woken.clear()
        await role.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role.name}'"
        )
        await woken.wait()
        woken.clear()
        await role.execute(f"NOTIFY {wakeup.CHANNEL}")
        await woken.wait()
    listening.cancel()


@dataclass
class User:
    """A user of RabbitMQ, and how it connects with the password in a file."""

    rabbitmq: Broker
    name: str
    file: PasswordFile

    @property
    def url(self) -> str:
        return str(URL(self.rabbitmq.url).with_user(self.name).with_password(None))

    async def set_password(self, password: str) -> None:
        async with self.rabbitmq.management() as api:
            await api.put("users", self.name, body={"password": password, "tags": ""})

    async def open(self) -> aio_pika.abc.AbstractRobustConnection:
        return await broker.connect(self.url, "tests", timeout=10, password_file=self.file)

    async def connect(self) -> None:
        connection = await self.open()
        await connection.close()


@pytest.fixture
async def user(rabbitmq: Broker, file: PasswordFile) -> AsyncIterator[User]:
    user = User(rabbitmq, f"user-{secrets.token_hex(4)}", file)
    await user.set_password(file.choose())
    async with rabbitmq.management() as api:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await api.put("permissions", rabbitmq.vhost, user.name, body=everything)
        yield user
        await api.delete("users", user.name)


async def is_usable(connection: aio_pika.abc.AbstractRobustConnection) -> bool:
    """Whether the broker answers within ten seconds: it returns a message that no queue gets."""
    publisher = broker.Publisher(connection, window=1, timeout=10)
    [outcome] = await publisher.send("amq.topic", [("tests", aio_pika.Message(b"{}", message_id="m"))])
    return isinstance(outcome, aio_pika.exceptions.DeliveryError)


async def test_no_connection_to_rabbitmq_is_refused_during_a_rotation(user: User, file: PasswordFile) -> None:
    old, before = file.choose(), await user.open()
    await rotated(file, Connecting(user.connect), user.set_password)
    assert await is_usable(before), "an open connection goes on"
    await before.close()

    file.path.write_text(old)
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        await user.connect()


@pytest.mark.parametrize("lines", ["{new}\n{old}", "{old}\n{new}", "{new}"])
async def test_a_broken_connection_to_rabbitmq_is_made_with_the_files_newest_content(
    user: User, file: PasswordFile, lines: str
) -> None:
    old, connection = file.choose(), await user.open()
    await user.set_password("another")
    assert connection.transport is not None
    await connection.transport.connection.close(ConnectionResetError())
    await asyncio.sleep(2.5)  # the old password is refused, more than once
    assert not connection.connected.is_set()

    file.path.write_text(lines.format(new="another", old=old))

    assert await is_usable(connection)
    await connection.close()


async def test_a_starting_process_ends_at_once_when_both_passwords_are_refused(
    user: User, file: PasswordFile
) -> None:
    file.path.write_text("wrong\nalso wrong")
    with pytest.raises(aio_pika.exceptions.ProbableAuthenticationError):
        async with asyncio.timeout(20):
            await broker.connect(user.url, "tests", timeout=5, startup_timeout=60, password_file=file)
