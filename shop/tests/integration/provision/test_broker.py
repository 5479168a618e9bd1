"""A broker that is there already, brought to the shop's topology; what it held before it keeps."""

import json
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from typing import Any

import aio_pika
import pytest
from aio_pika.exceptions import ProbableAuthenticationError

from devstack import Stack, ports, rabbitmq
from devstack.down import purge
from devstack.programs import choose, programs
from devstack.up import up
from shop.errors import ShopError
from shop.http import Management
from shop.machine import project_root
from shop.provision.broker import provide
from shop.targets import OPERATOR

_SHOP: dict[str, Any] = json.loads((project_root() / "deploy" / "rabbitmq" / "definitions.json").read_text())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker with an operator and nothing else."""
    stack = Stack.create(tmp_path_factory.mktemp("broker") / "stack", ports.free_base(), durable=False)
    up(stack, choose(["rabbitmq"], programs()), programs(), lambda *_: None, 60)
    yield stack
    purge(stack)


@pytest.fixture
async def broker(stack: Stack) -> AsyncIterator[Management]:
    async with rabbitmq.management(stack) as broker:
        yield broker


@pytest.fixture
def declared() -> dict[str, Any]:
    return deepcopy(_SHOP)


async def _provide(stack: Stack, broker: Management, declared: dict[str, Any]) -> None:
    await provide(broker, declared, lambda user: stack.secret(f"rabbitmq-{user}"), timeout=30)


async def _heard(broker: Management, queue: str) -> set[str]:
    found = await broker.get("queues", "/", queue, "bindings")
    return {binding["routing_key"] for binding in found if binding["source"] == "events"}


async def test_a_bare_broker_gets_every_queue_and_every_user(
    stack: Stack, broker: Management, declared: dict[str, Any]
) -> None:
    await _provide(stack, broker, declared)

    assert {one["name"] for one in await broker.get("queues")} == {one["name"] for one in declared["queues"]}
    assert {one["name"] for one in await broker.get("policies")} == {
        one["name"] for one in declared["policies"]
    }
    for user in declared["users"]:
        async with await aio_pika.connect(stack.amqp_url(user["name"])):
            pass


async def test_guest_is_removed(stack: Stack, broker: Management, declared: dict[str, Any]) -> None:
    await broker.put("users", "guest", body={"password": "guest", "tags": "administrator"})

    await _provide(stack, broker, declared)

    users = {user["name"] for user in await broker.get("users")}
    assert users == {OPERATOR, *(user["name"] for user in declared["users"])}


async def test_what_a_newer_file_has_no_more_is_taken_away_and_messages_stay(
    stack: Stack, broker: Management, declared: dict[str, Any]
) -> None:
    await _provide(stack, broker, declared)
    async with await aio_pika.connect(stack.amqp_url(OPERATOR)) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"wait"), "cart")
        declared["bindings"] = [one for one in declared["bindings"] if one["destination"] != "cart"]
        declared["users"] = [one for one in declared["users"] if one["name"] != "cart"]
        declared["permissions"] = [one for one in declared["permissions"] if one["user"] != "cart"]
        declared["topic_permissions"] = [
            one for one in declared["topic_permissions"] if one["user"] != "cart"
        ]

        await _provide(stack, broker, declared)

        waiting = await (await channel.get_queue("cart")).get()
        await waiting.ack()
    assert waiting.body == b"wait"
    assert await _heard(broker, "cart") == set()
    with pytest.raises(ProbableAuthenticationError):
        await aio_pika.connect(stack.amqp_url("cart"))


async def test_providing_again_changes_nothing(
    stack: Stack, broker: Management, declared: dict[str, Any]
) -> None:
    await _provide(stack, broker, declared)
    before = await _seen(broker)

    await _provide(stack, broker, declared)

    assert await _seen(broker) == before


async def test_a_topology_that_the_broker_refuses_is_told_and_the_next_run_finishes(
    stack: Stack, broker: Management, declared: dict[str, Any]
) -> None:
    await _provide(stack, broker, declared)
    spoilt = deepcopy(declared)
    spoilt["bindings"] = [one for one in spoilt["bindings"] if one["destination"] != "product"]
    spoilt["policies"][0]["definition"] = {"no-such-thing": 1}

    with pytest.raises(ShopError, match=r"^the broker did not accept the topology: RabbitMQ answered 400"):
        await _provide(stack, broker, spoilt)
    await _provide(stack, broker, declared)

    assert await _heard(broker, "product") == {
        "order.created",
        "order.paid",
        "order.cancelled",
        "order.returned",
        "saga.nudged",
    }


async def test_a_password_that_was_changed_counts_from_then_on(
    stack: Stack, broker: Management, declared: dict[str, Any]
) -> None:
    await provide(broker, declared, lambda user: stack.secret(f"rabbitmq-{user}") * 2, timeout=30)
    old = stack.amqp_url(OPERATOR)
    new = old.replace(secret := stack.secret(f"rabbitmq-{OPERATOR}"), secret * 2)

    async with await aio_pika.connect(new), Management(stack.management_url, OPERATOR, secret * 2) as renewed:
        with pytest.raises(ProbableAuthenticationError):
            await aio_pika.connect(old)
        await _provide(stack, renewed, declared)


async def test_a_broker_that_lets_nobody_in_is_told_in_one_line(
    stack: Stack, declared: dict[str, Any]
) -> None:
    async with Management(stack.management_url, OPERATOR, "guessed") as broker:
        with pytest.raises(
            ShopError, match=r"^the broker did not accept the operator's login within 0 s: .*401"
        ):
            await provide(broker, declared, str.upper, timeout=0)


async def _seen(broker: Management) -> dict[str, Any]:
    kinds = ("users", "permissions", "topic_permissions", "exchanges", "queues", "bindings", "policies")
    seen = await broker.get("definitions")
    return {kind: sorted(seen[kind], key=lambda one: json.dumps(one, sort_keys=True)) for kind in kinds}
