import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from devstack import Stack
from shop.audit.trail import DATABASE, Audit, AuditedAction, operator
from shop.errors import ShopError
from shop.terminal import json_default


def dsn(url: str) -> str:
    return url.replace("postgresql+asyncpg", "postgresql")


@pytest.fixture
async def audit(postgres: str) -> AsyncIterator[Audit]:
    async with Audit.connected(dsn(postgres), "ada@desk") as audit:
        yield audit


async def test_what_was_done_is_read_later_with_who_why_before_and_after(audit: Audit) -> None:
    nudge = AuditedAction(
        "nudge", "customer called", order_id="o-1", before={"a": [1]}, after=["order.created"]
    )
    async with audit.record(nudge):
        pass
    [entry] = await audit.entries(limit=10)
    assert (entry.who, entry.why, entry.order_id) == ("ada@desk", "customer called", "o-1")
    assert (entry.before, entry.after) == ({"a": [1]}, ["order.created"])
    assert (entry.state, entry.error) == ("done", None)
    assert entry.ended_at is not None
    assert entry.ended_at >= entry.at
    assert await audit.entry(entry.id) == entry
    assert json.loads(json.dumps(entry, default=json_default))["at"] == entry.at.isoformat()


async def test_it_is_written_before_it_is_done(audit: Audit) -> None:
    async with audit.record(AuditedAction("nudge", "why")) as number:
        assert (await audit.entry(number)).state == "begun"


async def test_an_action_that_fails_says_how(audit: Audit) -> None:
    with pytest.raises(ValueError, match="no such"):
        async with audit.record(AuditedAction("nudge", "why")):
            raise ValueError("no such")
    [entry] = await audit.entries(limit=10)
    assert (entry.state, entry.error) == ("failed", "ValueError: no such")


async def test_an_action_that_is_interrupted_stays_begun(audit: Audit) -> None:
    with pytest.raises(KeyboardInterrupt):
        async with audit.record(AuditedAction("nudge", "why")):
            raise KeyboardInterrupt
    [entry] = await audit.entries(limit=10)
    assert (entry.state, entry.ended_at) == ("begun", None)


async def test_the_newest_entries_are_given_in_order_of_time_and_of_one_order_if_wanted(audit: Audit) -> None:
    for order_id in ("o-1", "o-2", "o-1", "o-1"):
        await audit.begin(AuditedAction("nudge", "why", order_id=order_id))
    assert [e.id for e in await audit.entries(limit=2)] == [3, 4]
    assert [e.id for e in await audit.entries(limit=10, order_id="o-1")] == [1, 3, 4]


async def test_an_unknown_number_is_told_in_one_line(audit: Audit) -> None:
    with pytest.raises(ShopError, match="no action 7 in the audit: `shop audit list`"):
        await audit.entry(7)


async def test_many_may_open_it_for_the_first_time_at_once(postgres_server: Stack) -> None:
    async def act(who: str) -> None:
        async with Audit.opened(postgres_server, who) as audit, audit.record(AuditedAction("nudge", "why")):
            pass

    await asyncio.gather(*(act(f"operator {n}") for n in range(5)))
    async with Audit.opened(postgres_server, "reader") as audit:
        found = {e.who for e in await audit.entries(limit=1000)}
    assert {f"operator {n}" for n in range(5)} <= found


async def test_no_service_may_connect_to_it(postgres_server: Stack) -> None:
    async with Audit.opened(postgres_server, "ada"):
        pass
    connection = await asyncpg.connect(postgres_server.operator_dsn())
    try:
        role = "audit_trespasser"
        await connection.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")
        assert not await connection.fetchval(
            "SELECT has_database_privilege($1, $2, 'CONNECT')", role, DATABASE
        )
        await connection.execute(f"DROP ROLE {role}")
    finally:
        await connection.close()


async def test_without_its_database_nothing_is_done_and_that_is_said() -> None:
    with pytest.raises(ShopError, match="shop status"):
        async with Audit.connected("postgresql://nobody:@/operations?host=/nowhere", "ada"):
            pass


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [("ada", {"SHOP_OPERATOR": "eve"}, "ada"), (None, {"SHOP_OPERATOR": "eve"}, "eve")],
)
def test_who_acts_is_the_one_named(
    given: str | None, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", environment)
    assert operator(given) == expected


def test_an_operator_without_a_name_is_user_at_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_OPERATOR", raising=False)
    user, _, host = operator().partition("@")
    assert user
    assert host
