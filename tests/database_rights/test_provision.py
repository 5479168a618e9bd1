"""Provisioning gives databases their rights: new ones, those of an earlier release, and on repetition."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from devstack import Stack
from shop.errors import ShopError
from shop.provision.databases import owner_of, provide, provide_when_up


class Place:
    """A service of this test's own on the shared server."""

    def __init__(self, server: Stack) -> None:
        self.server = server
        self.service = f"service_{secrets.token_hex(4)}"
        self.owner = owner_of(self.service)
        self.passwords = {self.service: "it's a secret", self.owner: secrets.token_hex(8)}

    async def operator(self, database: str = "postgres", **settings: str) -> Any:
        dsn = self.server.operator_dsn(database)
        return await asyncpg.connect(dsn, timeout=15, command_timeout=30, server_settings=settings)

    async def execute(self, statement: str, database: str = "postgres") -> None:
        connection = await self.operator(database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def connect(self, role: str, password: str | None = None) -> Any:
        return await asyncpg.connect(
            host=str(self.server.sockets / "postgres"),
            user=role,
            password=password or self.passwords[role],
            database=self.service,
            timeout=15,
        )

    async def provide(self) -> None:
        await provide(self.operator, [self.service], self.passwords.__getitem__)


@pytest.fixture
async def place(postgres_server: Stack) -> AsyncIterator[Place]:
    place = Place(postgres_server)
    yield place
    await place.execute(f"DROP DATABASE IF EXISTS {place.service} WITH (FORCE)")
    await place.execute(f"DROP ROLE IF EXISTS {place.service}")
    await place.execute(f"DROP ROLE IF EXISTS {place.owner}")


async def test_a_database_that_its_service_owned_gets_the_new_rights_without_loss(place: Place) -> None:
    await place.execute(f"CREATE ROLE {place.service} LOGIN PASSWORD 'old'")
    await place.execute(f"CREATE DATABASE {place.service} OWNER {place.service}")
    await place.execute(f"REVOKE ALL ON DATABASE {place.service} FROM PUBLIC")
    before = await place.connect(place.service, "old")
    await before.execute(
        "CREATE TABLE item (id serial PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'mug')"
    )
    await before.fetchval("SELECT setval('item_id_seq', 1)")

    await place.provide()

    # Who was connected goes on, with the rights that it has now.
    assert await before.fetchval("INSERT INTO item (name) VALUES ('cup') RETURNING id") == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await before.execute("ALTER TABLE item ADD price int")
    await before.close()
    service, owner = await place.connect(place.service), await place.connect(place.owner)
    await owner.execute("ALTER TABLE item ADD price int; CREATE TABLE more (id int)")
    assert [row["name"] for row in await service.fetch("SELECT * FROM item ORDER BY id")] == ["mug", "cup"]
    assert await service.fetchval("SELECT count(*) FROM more") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute("CREATE TABLE own (id int)")
    await service.close()
    await owner.close()


async def test_provisioning_again_disturbs_no_open_connection(place: Place) -> None:
    await place.provide()
    service, owner = await place.connect(place.service), await place.connect(place.owner)
    await owner.execute("CREATE TABLE item (id int)")

    await place.provide()

    await service.execute("INSERT INTO item VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute("TRUNCATE item")
    await service.close()
    await owner.close()


async def test_after_a_password_change_only_the_new_one_connects(place: Place) -> None:
    await place.provide()
    old = place.passwords[place.service]
    place.passwords[place.service] = "another"

    await place.provide()

    await (await place.connect(place.service)).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await place.connect(place.service, old)


async def test_rights_that_were_granted_by_hand_are_revoked(place: Place) -> None:
    await place.provide()
    owner = await place.connect(place.owner)
    await owner.execute("CREATE TABLE item (id int)")
    await owner.close()
    await place.execute(f"GRANT ALL ON item TO {place.service}", place.service)
    await place.execute(
        f"GRANT ALL ON SCHEMA public TO PUBLIC; ALTER ROLE {place.service} CREATEDB", place.service
    )

    await place.provide()

    service = await place.connect(place.service)
    for statement in ("TRUNCATE item", "CREATE TABLE own (id int)", "CREATE DATABASE own"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)
    await service.close()


async def test_a_server_that_stays_unavailable_is_reported_in_one_line() -> None:
    async def connect(_: str) -> Any:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(ShopError, match=r"^PostgreSQL did not answer within 0 s: .*nobody there"):
        await provide_when_up(connect, ["order"], str.upper, timeout=0)


async def test_setup_waits_for_a_server_that_is_starting(place: Place) -> None:
    refusals = [ConnectionRefusedError(), asyncpg.CannotConnectNowError("the database system is starting up")]

    async def connect(database: str) -> Any:
        if refusals:
            raise refusals.pop()
        return await place.operator(database)

    await provide_when_up(connect, [place.service], place.passwords.__getitem__, timeout=60)

    await (await place.connect(place.service)).close()


async def test_no_password_is_in_the_log_of_a_server_that_logs_every_statement(place: Place) -> None:
    log = place.server.layout.log("postgres")
    place.passwords = {role: secrets.token_hex(16) for role in place.passwords}

    async def talkative(database: str) -> Any:
        return await place.operator(database, log_statement="all")

    await provide(talkative, [place.service], place.passwords.__getitem__)
    connection = await talkative("postgres")
    await connection.execute(f"COMMENT ON DATABASE {place.service} IS 'the end'")
    await connection.close()

    async with asyncio.timeout(30):
        while f"COMMENT ON DATABASE {place.service}" not in (written := log.read_text(errors="replace")):
            await asyncio.sleep(0.05)
    assert f'ALTER ROLE "{place.owner}" PASSWORD' in written
    assert [role for role, password in place.passwords.items() if password in written] == []
    for role in place.passwords:
        await (await place.connect(role)).close()
