"""The PostgreSQL and the RabbitMQ of a stack: who may connect, and how a changed topology is applied."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import aio_pika
import asyncpg
import psutil
import pytest
from aio_pika.exceptions import ProbableAuthenticationError

from devstack import Stack, ports, postgres, rabbitmq
from devstack.down import down, purge
from devstack.programs import choose, programs
from devstack.up import Started, up
from shop.errors import ShopError


def _up(stack: Stack, *names: str) -> list[Started]:
    return up(stack, choose(names, programs()), programs(), lambda *_: None, 60)


def _topology(*keys: str) -> dict[str, Any]:
    return {
        "users": [{"name": "order", "password_hash": "", "tags": []}],
        "permissions": [
            {"user": "order", "vhost": "/", "configure": "^$", "write": "^events$", "read": "^order$"}
        ],
        "exchanges": [
            {"name": "events", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False}
            | {"internal": False, "arguments": {}}
        ],
        "queues": [
            {"name": "order", "vhost": "/", "durable": True, "auto_delete": False}
            | {"arguments": {"x-queue-type": "quorum"}}
        ],
        "bindings": [
            {"source": "events", "vhost": "/", "destination": "order", "destination_type": "queue"}
            | {"routing_key": key, "arguments": {}}
            for key in keys
        ],
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack.create(tmp_path_factory.mktemp("database"), ports.free_base(), durable=False)
    _up(stack, "postgres")
    yield stack
    purge(stack)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("broker")
    file = folder / "definitions.json"
    file.write_text(json.dumps(_topology("order.paid", "stock.rejected")))
    stack = Stack.create(folder / "stack", ports.free_base(), durable=False, topology=file)
    _up(stack, "rabbitmq")
    yield stack
    purge(stack)


async def _keys_bound(stack: Stack) -> set[str]:
    async with rabbitmq.management(stack) as api:
        found = await api.get("queues", "/", "order", "bindings")
    return {binding["routing_key"] for binding in found if binding["source"] == "events"}


@pytest.mark.postgres
async def test_a_wrong_password_is_refused(database: Stack) -> None:
    dsn = database.operator_dsn().replace(database.secret("postgres-operator"), "guessed")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn)


@pytest.mark.postgres
async def test_the_database_listens_on_no_port(database: Stack) -> None:
    pid = postgres.server_pid(database.layout.pgdata)
    assert pid

    assert not [one for one in psutil.Process(pid).net_connections("inet") if one.status == "LISTEN"]


@pytest.mark.postgres
def test_a_database_starts_beside_the_pid_file_of_a_killed_one(make_stack: Callable[[str], Stack]) -> None:
    stack = make_stack("stack")
    _up(stack, "postgres")
    pid = postgres.server_pid(stack.layout.pgdata)
    assert pid
    down(stack, programs(), lambda _: None)
    stack.layout.pgdata.joinpath("postmaster.pid").write_text(f"{pid}\n{stack.layout.pgdata}\n")

    assert [one.already_running for one in _up(stack, "postgres")] == [False]


@pytest.mark.broker
async def test_a_service_signs_in_with_its_own_password_only(broker: Stack) -> None:
    connection = await aio_pika.connect(broker.amqp_url("order"))
    await connection.close()

    with pytest.raises(ProbableAuthenticationError):
        await aio_pika.connect(broker.amqp_url("order").replace(broker.secret("rabbitmq-order"), "guessed"))


@pytest.mark.broker
async def test_a_changed_topology_is_applied_to_a_running_broker(broker: Stack) -> None:
    assert broker.topology
    before = await _keys_bound(broker)
    broker.topology.write_text(json.dumps(_topology("order.paid", "payment.declined")))

    await asyncio.to_thread(_up, broker, "rabbitmq")

    assert before == {"order.paid", "stock.rejected"}
    assert await _keys_bound(broker) == {"order.paid", "payment.declined"}


def test_a_missing_broker_is_reported_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(ShopError, match="sudo apt-get install -y rabbitmq-server"):
        rabbitmq.server_script()
