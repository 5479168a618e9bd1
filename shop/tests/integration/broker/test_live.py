"""On a real broker: what is changed there is named, and restored; alarms are shown."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aio_pika
import httpx
import pytest
from aiormq.exceptions import ChannelAccessRefused
from typer.testing import CliRunner

from devstack import Stack, ports, rabbitmq
from devstack.down import purge
from devstack.programs import choose, programs
from devstack.testing.session import run
from devstack.up import up
from lab.chaos.faults import FaultInjector
from lab.chaos.plan import Fault
from shop.broker.checking import check, declared
from shop.broker.restoring import apply, prepare
from shop.cli import app
from shop.errors import ShopError
from shop.machine import project_root

pytestmark = pytest.mark.broker  # one of these tests' own

BINDING = ("bindings", "/", "e", "events", "q", "notification", "order.paid")
LOST = "binding events → notification for order.paid is missing"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker of this module's own, with the shop's topology and its monitor."""
    topology = project_root() / "deploy" / "rabbitmq" / "definitions.json"
    stack = Stack.create(
        tmp_path_factory.mktemp("broker") / "stack",
        ports.free_base(),
        topology=topology,
        settings={"monitor": {"INTERVAL": "0.5", "RECHECK": "0.5"}},
    )
    start(stack)
    yield stack
    purge(stack)


def start(stack: Stack) -> None:
    up(stack, choose(["rabbitmq", "monitor"], programs()), programs(), lambda *_: None, 60)


async def found(stack: Stack) -> list[str]:
    issues, _ = await check(stack, declared(stack))
    return [issue.means for issue in issues]


async def spoil(stack: Stack) -> None:
    """Something of every kind that an import can mend."""
    async with rabbitmq.management(stack) as api:
        await api.delete(*BINDING)
        await api.post("bindings", "/", "e", "events", "q", "cart", body={"routing_key": "#"})
        await api.delete("queues", "/", "order.dead")
        await api.delete("policies", "/", "payment")
        await api.put("permissions", "/", "cart", body={"configure": ".*", "write": ".*", "read": ".*"})
        await api.delete("topic-permissions", "/", "auth")
        await api.delete("user-limits", "order", "max-connections")
        await api.put("users", "mallory", body={"password": "m", "tags": "administrator"})


async def monitor_says(stack: Stack, issues: list[str]) -> None:
    """Returns once the monitor names just these; it may still name what an earlier test did."""
    async with httpx.AsyncClient() as http:
        for _ in range(100):
            answer = await http.get(f"{stack.http('monitor')}/readyz")
            if [issue["means"] for issue in answer.json()["issues"]] == issues:
                assert answer.status_code == (503 if issues else 200)
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"still {answer.status_code}: {answer.text}")


async def test_a_fresh_broker_is_as_it_should_be(broker: Stack) -> None:
    assert await found(broker) == []
    async with await aio_pika.connect(broker.operator_amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("events", "#")
        assert await found(broker) == [], "a temporary consumer is no difference"


async def test_a_lost_binding_is_named_raises_the_alarm_and_is_restored(broker: Stack) -> None:
    async with rabbitmq.management(broker) as api:
        await api.delete(*BINDING)
    assert await found(broker) == [LOST]
    await monitor_says(broker, [LOST])
    log = broker.layout.log("monitor").read_text()
    assert any(
        line.get("level") == "error" and line.get("means") == LOST
        for line in map(json.loads, log.splitlines())
    )

    await apply(broker, await prepare(broker, declared(broker)))

    assert await found(broker) == []
    await monitor_says(broker, [])


async def test_whatever_was_changed_is_restored_and_passwords_stay(broker: Stack) -> None:
    await spoil(broker)
    assert len(await found(broker)) == 9  # the queue took its binding along

    await apply(broker, await prepare(broker, declared(broker)))

    assert await found(broker) == []
    async with await aio_pika.connect(broker.amqp_url("order")):
        pass


def test_starting_the_shop_restores_it_too(broker: Stack) -> None:
    run(spoil(broker))
    start(broker)
    assert run(found(broker)) == []


async def test_a_user_that_is_gone_cannot_be_restored_without_its_password(broker: Stack) -> None:
    async with rabbitmq.management(broker) as api:
        await api.delete("users", "cart")
    with pytest.raises(ShopError, match="the broker has lost cart"):
        await prepare(broker, declared(broker))
    await asyncio.to_thread(start, broker)
    assert await found(broker) == []


async def test_a_queue_of_another_type_is_named_and_not_restored_by_itself(broker: Stack) -> None:
    async with rabbitmq.management(broker) as api:
        await api.delete("queues", "/", "cart")
        await api.put("queues", "/", "cart", body={"durable": True, "arguments": {"x-queue-type": "classic"}})
    try:
        assert any(means.startswith("queue cart is different: arguments is") for means in await found(broker))
        await apply(broker, await prepare(broker, declared(broker)))
        assert [means.split(":")[0] for means in await found(broker)] == ["queue cart is different"]
    finally:
        async with rabbitmq.management(broker) as api:
            await api.delete("queues", "/", "cart")
        await apply(broker, await prepare(broker, declared(broker)))
    assert await found(broker) == []


async def test_a_memory_alarm_is_shown_and_ends(broker: Stack) -> None:
    await rabbitmq.set_memory_watermark(broker, rabbitmq.FIRST, 0.0001)
    try:
        [means] = await found(broker)
        assert means.startswith("memory alarm on ")
        await monitor_says(broker, [means])
    finally:
        await rabbitmq.set_memory_watermark(broker, rabbitmq.FIRST, rabbitmq.MEMORY_WATERMARK)
    assert await found(broker) == []
    await monitor_says(broker, [])


@pytest.mark.parametrize(
    ("kind", "target", "says"),
    [
        ("broker-loses-binding", "notification", LOST),
        ("broker-refuses-publish", "payment", "topic permission of payment on events is different"),
        ("broker-alarm", rabbitmq.FIRST, "memory alarm on "),
    ],
)
async def test_what_chaos_does_to_a_broker_is_seen_and_ends(
    broker: Stack, kind: str, target: str, says: str
) -> None:
    faults = FaultInjector(broker, {})
    doing = asyncio.create_task(faults.inject(Fault(0, kind, target, 3)))
    async with asyncio.timeout(10):
        while not any(means.startswith(says) for means in await found(broker)):
            await asyncio.sleep(0.1)
    await doing
    assert faults.failed == []
    assert await found(broker) == []


async def test_a_service_that_may_not_publish_is_cut_off_and_refused(broker: Stack) -> None:
    """A channel goes on with what it has been allowed, so its connection is closed."""
    faults = FaultInjector(broker, {})
    async with await aio_pika.connect(broker.amqp_url("payment")) as connection:
        channel = await connection.channel()
        events = await channel.get_exchange("events")
        await events.publish(aio_pika.Message(b"{}"), "order.paid")
        async with rabbitmq.management(broker) as api:
            while not await api.get("connections"):
                await asyncio.sleep(0.1)
        doing = asyncio.create_task(faults.inject(Fault(0, "broker-refuses-publish", "payment", 3)))
        async with asyncio.timeout(10):
            while not channel.is_closed:
                await asyncio.sleep(0.05)
    async with await aio_pika.connect(broker.amqp_url("payment")) as connection:
        channel = await connection.channel()
        events = await channel.get_exchange("events")
        await events.publish(aio_pika.Message(b"{}"), "payment.voided")
        with pytest.raises(ChannelAccessRefused):
            await events.publish(aio_pika.Message(b"{}"), "order.paid")
    await doing
    async with await aio_pika.connect(broker.amqp_url("payment")) as connection:
        channel = await connection.channel()
        await (await channel.get_exchange("events")).publish(aio_pika.Message(b"{}"), "order.paid")


async def test_a_broker_that_is_away_is_said_in_one_line(broker: Stack) -> None:
    elsewhere = replace(broker, port_base=1)
    with pytest.raises(ShopError, match="RabbitMQ does not answer"):
        await check(elsewhere, declared(broker))


def test_the_command_line_names_and_restores(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_STACK", str(stack.folder))

    async def lose() -> None:
        async with rabbitmq.management(stack) as api:
            await api.delete(*BINDING)

    def shop(*words: str) -> tuple[int, Any]:
        result = CliRunner().invoke(app, [*words, "--json"])
        return result.exit_code, json.loads(result.stdout)

    assert shop("broker", "check") == (0, {"issues": []})
    run(lose())
    try:
        code, checked = shop("broker", "check")
        assert (code, [issue["means"] for issue in checked["issues"]]) == (3, [LOST])
        code, listed = shop("saga", "list")
        assert code == 3
        assert LOST in [one["means"] for one in listed["stuck"] if one["kind"] == "broker-differs"]
        code, programs_ = shop("status")
        assert (code, [i["means"] for one in programs_ for i in one["issues"]]) == (3, [LOST])
    finally:
        code, done = shop("broker", "restore", "--why", "a test lost it", "--yes")
    assert (code, done["restored"]) == (0, [LOST])
    assert shop("broker", "check") == (0, {"issues": []})
    _, entries = shop("audit", "list", "--limit", "1")
    assert "a test lost it" in json.dumps(entries)
