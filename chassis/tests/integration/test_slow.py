"""A batch in which one message waits for a row that another transaction has locked."""

import time
from uuid import uuid4

import pytest
from sqlalchemy import text

from chassis.runtime.settings import ServiceSettings, load
from chassis.storage.database import connect
from chassis.storage.raw_sql import is_out_of_time, is_outage

from ..things import ThingMade
from .conftest import World


async def test_a_wait_for_a_lock_delays_other_messages_for_seconds_only(world: World) -> None:
    slow, good = ThingMade(id=uuid4()), [ThingMade(id=uuid4()) for _ in range(5)]
    async with world.engine.begin() as setting_up:
        await setting_up.execute(text("INSERT INTO sale (id, times) VALUES (:id, 0)"), {"id": slow.id})
    # As a service has it by default, though the tests' own connection has longer timeouts.
    async with world.engine.connect() as holder:
        await holder.execute(text("SELECT * FROM sale WHERE id = :id FOR UPDATE"), {"id": slow.id})
        await world.publish(slow, *good)
        await world.start(transactions=world.transactions_of_a_service())
        began = time.monotonic()
        assert set(await world.sold(5)) == {f"thing.sold/{thing.id}" for thing in good}
        waited = time.monotonic() - began
        assert await world.times(slow.id) == 0
        await holder.rollback()
    assert await world.sold() == [f"thing.sold/{slow.id}"]
    lock = ServiceSettings.model_fields["lock_timeout"].default
    assert waited < 10 * lock  # once for all of them, once for itself


@pytest.mark.parametrize("what", ["SELECT pg_sleep(30)", "SELECT * FROM sale FOR UPDATE"])
async def test_a_statement_that_the_server_ends_is_no_outage(world: World, postgres: str, what: str) -> None:
    engine = connect(postgres, pool_size=2, statement_timeout=0.5, lock_timeout=0.2, timeout=20)
    async with world.engine.begin() as holder, engine.connect() as waiting:
        await holder.execute(text("INSERT INTO sale (id, times) VALUES (:id, 0)"), {"id": uuid4()})
        await holder.execute(text("LOCK TABLE sale"))
        with pytest.raises(Exception, match=r"timeout|QueryCanceled") as ended:
            await waiting.execute(text(what))
    assert is_out_of_time(ended.value)
    assert not is_outage(ended.value)
    await engine.dispose()


def test_timeouts_in_the_wrong_sequence_are_rejected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "DATABASE_URL": "postgresql+asyncpg://nobody@nowhere/x",
        "AMQP_URL": "amqp://nobody@nowhere/",
        "JWKS_URL": "http://nowhere/",
        "TOKEN_ISSUER": "x",
        "TOKEN_AUDIENCE": "x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load(ServiceSettings).lease
    for name, value, error in [
        ("LOCK_TIMEOUT", "5", "LOCK_TIMEOUT must be less than STATEMENT_TIMEOUT"),
        ("STATEMENT_TIMEOUT", "10", "STATEMENT_TIMEOUT must be less than DATABASE_TIMEOUT"),
        ("BROKER_TIMEOUT", "10", "BROKER_TIMEOUT must be less than LEASE"),
    ]:
        with monkeypatch.context() as one, pytest.raises(SystemExit) as left:
            one.setenv(name, value)
            load(ServiceSettings)
        assert left.value.code == 78
        assert capsys.readouterr().err == f"{error}\n"
