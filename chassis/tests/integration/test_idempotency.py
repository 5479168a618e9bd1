"""The response to a repeated request, for each outcome of the first one. On a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI, Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from chassis.errors import Unavailable
from chassis.http.idempotency import (
    ClaimLost,
    IdempotencyKey,
    IdempotencyKeys,
    KeyInUse,
    KeyReused,
    StoredResponse,
    idempotency_table,
    parse_key,
)
from chassis.http.problems import Unprocessable, install
from chassis.storage.raw_sql import fetch

TABLE = idempotency_table(MetaData())


@pytest.fixture
async def engine(postgres: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres, pool_size=10)
    async with engine.begin() as connection:
        await connection.run_sync(TABLE.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture
def keys(engine: AsyncEngine) -> IdempotencyKeys:
    return IdempotencyKeys(engine)


BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
KILL_THE_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
ADA, BOB = uuid4(), uuid4()
STORED = StoredResponse(202, b'{"id": 7}', {"location": "/things/7"})


async def carry_out(
    keys: IdempotencyKeys,
    engine: AsyncEngine,
    owner: UUID = ADA,
    key: str = "k",
    failing: str | None = None,
) -> None:
    async with keys.claim(owner, key, b"payload") as claim, AsyncSession(engine) as session:
        await claim.settle(session, STORED.status, STORED.body, STORED.headers)
        if failing == "before the commit":
            raise RuntimeError(failing)
        await session.commit()
        if failing == "after the commit":
            raise RuntimeError(failing)


async def claimed(keys: IdempotencyKeys, owner: UUID = ADA, payload: bytes = b"payload") -> bool:
    async with keys.claim(owner, "k", payload) as claim:
        return claim.stored is None


async def somebody_waits_for_a_lock(engine: AsyncEngine) -> None:
    async with asyncio.timeout(30):
        while True:
            async with engine.connect() as connection:
                if (await connection.execute(BLOCKED)).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(select(func.count()).select_from(TABLE))).scalar_one())


async def test_a_repeat_gets_the_stored_response(keys: IdempotencyKeys, engine: AsyncEngine) -> None:
    await carry_out(keys, engine)
    async with keys.claim(ADA, "k", b"payload") as repeat:
        assert repeat.stored == STORED
    replayed = STORED.replay()
    assert (replayed.status_code, replayed.body) == (202, b'{"id": 7}')
    assert replayed.headers["location"] == "/things/7"
    assert replayed.headers["idempotent-replayed"] == "true"


async def test_a_key_belongs_to_its_owner(keys: IdempotencyKeys, engine: AsyncEngine) -> None:
    await carry_out(keys, engine, ADA)
    assert await claimed(keys, BOB, b"another payload")


async def test_a_key_cannot_be_reused_for_another_payload(keys: IdempotencyKeys, engine: AsyncEngine) -> None:
    await carry_out(keys, engine)
    with pytest.raises(KeyReused):
        await claimed(keys, ADA, b"another payload")


async def test_while_the_first_request_runs_a_repeat_gets_409(keys: IdempotencyKeys) -> None:
    async with keys.claim(ADA, "k", b"payload"):
        with pytest.raises(KeyInUse) as refusal:
            await claimed(keys)
        with pytest.raises(KeyReused):
            await claimed(keys, ADA, b"another payload")
    assert refusal.value.headers["Retry-After"] == "1"


async def test_of_many_at_once_one_claims_the_key(keys: IdempotencyKeys) -> None:
    everybody_asked = asyncio.Barrier(20)

    async def attempt() -> str:
        try:
            async with keys.claim(ADA, "k", b"payload"):
                await everybody_asked.wait()
                return "claimed"
        except KeyInUse:
            await everybody_asked.wait()
            return "in use"

    outcomes = await asyncio.gather(*(attempt() for _ in range(20)))
    assert sorted(outcomes) == ["claimed"] + 19 * ["in use"]


async def test_a_rejected_request_releases_its_key(keys: IdempotencyKeys) -> None:
    with pytest.raises(Unprocessable):
        async with keys.claim(ADA, "k", b"payload"):
            raise Unprocessable
    assert await claimed(keys, ADA, b"the corrected payload")


async def test_a_block_that_does_not_settle_releases_its_key(
    keys: IdempotencyKeys, engine: AsyncEngine
) -> None:
    async with keys.claim(ADA, "k", b"payload"):
        pass
    assert await count(engine) == 0


async def test_a_cancelled_request_releases_its_key(keys: IdempotencyKeys) -> None:
    running = asyncio.Event()

    async def request() -> None:
        async with keys.claim(ADA, "k", b"payload"):
            running.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await claimed(keys)


async def test_a_rolled_back_response_is_not_stored(keys: IdempotencyKeys, engine: AsyncEngine) -> None:
    with pytest.raises(RuntimeError):
        await carry_out(keys, engine, failing="before the commit")
    assert await claimed(keys)


async def test_a_failure_after_the_commit_leaves_the_response_stored(
    keys: IdempotencyKeys, engine: AsyncEngine
) -> None:
    with pytest.raises(RuntimeError):
        await carry_out(keys, engine, failing="after the commit")
    assert not await claimed(keys)


async def test_a_crashed_request_holds_its_key_until_the_lock_ends(
    keys: IdempotencyKeys, engine: AsyncEngine
) -> None:
    crashed = keys.claim(ADA, "k", b"payload")
    await crashed.__aenter__()
    with pytest.raises(KeyInUse):
        await claimed(keys)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE idempotency_keys SET locked_until = now()"))
    assert await claimed(keys)
    await crashed.__aexit__(None, None, None)


async def test_a_slow_request_cannot_settle_a_key_that_a_repeat_has_claimed(engine: AsyncEngine) -> None:
    keys = IdempotencyKeys(engine, lock=timedelta(0))
    async with keys.claim(ADA, "k", b"payload") as slow, AsyncSession(engine) as session:
        await carry_out(keys, engine)
        with pytest.raises(ClaimLost):
            await slow.settle(session, 500, b"too late")
    async with keys.claim(ADA, "k", b"payload") as repeat:
        assert repeat.stored == STORED


async def test_a_slow_request_cannot_settle_while_the_repeat_still_runs(engine: AsyncEngine) -> None:
    brief, usual = IdempotencyKeys(engine, lock=timedelta(0)), IdempotencyKeys(engine)
    async with (
        brief.claim(ADA, "k", b"payload") as slow,
        usual.claim(ADA, "k", b"payload") as repeat,
        AsyncSession(engine) as session,
    ):
        with pytest.raises(ClaimLost):
            await slow.settle(session, 500, b"too late")
        await repeat.settle(session, 202, b"in time")
        await session.commit()


async def test_a_repeat_waits_for_a_commit_that_is_under_way(
    keys: IdempotencyKeys, engine: AsyncEngine
) -> None:
    async with keys.claim(ADA, "k", b"payload") as claim, AsyncSession(engine) as session:
        await claim.settle(session, STORED.status, STORED.body, STORED.headers)
        repeat = asyncio.create_task(claimed(keys))
        await somebody_waits_for_a_lock(engine)
        await session.commit()
    assert await repeat is False


async def test_a_slow_request_that_gives_up_does_not_release_the_repeats_claim(engine: AsyncEngine) -> None:
    brief, usual = IdempotencyKeys(engine, lock=timedelta(0)), IdempotencyKeys(engine)
    slow = brief.claim(ADA, "k", b"payload")
    await slow.__aenter__()
    async with usual.claim(ADA, "k", b"payload"):
        await slow.__aexit__(None, None, None)
        with pytest.raises(KeyInUse):
            await claimed(usual)


async def test_a_response_is_replayed_for_as_long_as_it_is_kept(engine: AsyncEngine) -> None:
    await carry_out(IdempotencyKeys(engine), engine)
    assert not await claimed(IdempotencyKeys(engine, keep=timedelta(hours=1)))
    assert await claimed(IdempotencyKeys(engine, keep=timedelta(0)), ADA, b"another payload")


async def test_old_keys_are_purged_in_batches(engine: AsyncEngine) -> None:
    keys = IdempotencyKeys(engine)
    for number in range(5):
        await carry_out(keys, engine, ADA, f"k{number}")
    count = "SELECT count(*) FROM idempotency_keys"
    await keys.prune()
    assert (await fetch(engine, count))[0]["count"] == 5
    await IdempotencyKeys(engine, keep=timedelta(0)).prune(batch=3)
    assert (await fetch(engine, count))[0]["count"] == 0


async def test_a_claim_does_not_wait_for_the_disk_and_leaves_the_connection_as_it_was(
    engine: AsyncEngine,
) -> None:
    single = create_async_engine(engine.url, pool_size=1, max_overflow=0)
    async with IdempotencyKeys(single).claim(ADA, "k", b"payload"), single.connect() as connection:
        assert (await connection.execute(text("SHOW synchronous_commit"))).scalar_one() == "on"
    await single.dispose()


async def test_a_lost_connection_raises_once_and_is_not_reused(postgres: str, engine: AsyncEngine) -> None:
    single = create_async_engine(postgres, pool_size=1, max_overflow=0)
    keys = IdempotencyKeys(single)
    assert await claimed(keys)
    async with engine.connect() as other:
        await other.execute(KILL_THE_OTHERS)
    with pytest.raises(Unavailable):
        await claimed(keys)
    assert await claimed(keys)
    await single.dispose()


@pytest.mark.parametrize("value", ["abc", '"abc"'])
def test_a_key_comes_quoted_or_bare(value: str) -> None:
    assert parse_key(value) == "abc"


def test_a_quoted_key_may_hold_quotes() -> None:
    assert parse_key(r'"a\"b\\c"') == r'a"b\c'


@pytest.mark.parametrize("value", ["", '""', "two words", '"two words"', "ключ", "x" * 256, "tab\t"])
def test_a_malformed_key_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        parse_key(value)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255))
def test_any_visible_key_survives_being_quoted(key: str) -> None:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_key(f'"{escaped}"') == key


@pytest.fixture
async def client(keys: IdempotencyKeys, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install(app)
    made: list[str] = []

    @app.post("/things", status_code=201)
    async def make(idempotency_key: IdempotencyKey, name: str) -> Response:
        async with keys.claim(ADA, idempotency_key, name.encode()) as claim:
            if claim.stored:
                return claim.stored.replay()
            made.append(name)
            async with AsyncSession(engine) as session:
                await claim.settle(session, 201, b"%d" % len(made))
                await session.commit()
            return Response(b"%d" % len(made), 201)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://things") as client:
        yield client


async def test_the_same_request_twice_has_one_effect(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/things?name=lamp", headers={"idempotency-key": key}) for key in ("a", '"a"', "b")
    ]
    assert [answer.text for answer in answers] == ["1", "1", "2"]
    assert [answer.headers.get("idempotent-replayed") for answer in answers] == [None, "true", None]


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "two words"}])
async def test_a_missing_or_malformed_key_is_a_bad_request(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await client.post("/things?name=lamp", headers=headers)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert (error["in"], error["name"]) == ("header", "Idempotency-Key")


async def test_a_key_reused_for_another_request_is_unprocessable(client: httpx.AsyncClient) -> None:
    await client.post("/things?name=lamp", headers={"idempotency-key": "a"})
    response = await client.post("/things?name=chair", headers={"idempotency-key": "a"})
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/idempotency-key-reused"


async def test_the_document_requires_the_key(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/things"]["post"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert parameters["Idempotency-Key"]["required"] is True
    assert "400" in operation["responses"]
