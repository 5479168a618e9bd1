"""Rights at RabbitMQ, tried on a real broker: each user with each routing key, queue and exchange."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiormq
import httpx
import pytest
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import AMQPConnectionError, AMQPError, ChannelPreconditionFailed
from pamqp.commands import Basic

from contracts import EVENTS, SagaNudged
from devstack import Stack
from devstack.testing.broker import Broker, fresh_vhost
from shop.machine import project_root
from shop.targets import OPERATOR, SERVICES
from tests.broker_rights.trying import allowed, signed_in

DEFINITIONS: dict[str, Any] = json.loads(
    (project_root() / "deploy" / "rabbitmq" / "definitions.json").read_text()
)
NUDGERS = ("order", "product")  # besides operators
PUBLISHES: dict[str, set[str]] = {
    user: {event.type for event in EVENTS.values() if event.publisher == user}
    | ({SagaNudged.type} if user in NUDGERS else set())
    for user in SERVICES
}
KEYS = {event.type for event in EVENTS.values()}
QUEUES = {queue["name"] for queue in DEFINITIONS["queues"]}
READS: dict[str, set[str]] = {
    user: {queue for queue in QUEUES if queue in (user, f"{user}.timeline")} for user in SERVICES
}
EXCHANGES = {exchange["name"] for exchange in DEFINITIONS["exchanges"]}
DEFAULT = ""
BUILT_IN = {"amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"}

each_user = pytest.mark.parametrize("user", SERVICES)


@pytest.fixture(scope="module")
def broker(rabbitmq_server: Stack) -> Any:
    """The shop's own topology in a virtual host of this module's."""
    with fresh_vhost(rabbitmq_server) as broker:
        asyncio.run(broker.import_topology(DEFINITIONS))
        yield broker


@pytest.fixture
async def connection(broker: Broker, user: str) -> AsyncIterator[AbstractConnection]:
    async with signed_in(broker.url_of(user)) as connection:
        yield connection


@each_user
async def test_a_service_publishes_the_events_that_it_declares_and_no_others(
    connection: AbstractConnection, user: str
) -> None:
    async def publish(channel: AbstractChannel, key: str) -> None:
        await channel.basic_publish(b"", exchange="events", routing_key=key)

    others = {"", "#", "*", "order", "order.created.more", *QUEUES}

    assert await allowed(connection, KEYS | others, publish) == PUBLISHES[user]


@each_user
async def test_a_service_publishes_under_its_own_user_id_only(
    connection: AbstractConnection, user: str
) -> None:
    """A consumer knows who published an event, and not only what the event claims."""
    key = next(iter(PUBLISHES[user]), None)
    exchange = "events" if key else f"{user}.retry"

    async def publish(channel: AbstractChannel, name: str) -> None:
        properties = Basic.Properties(user_id=name)
        await channel.basic_publish(b"", exchange=exchange, routing_key=key or "1s", properties=properties)

    names = {*SERVICES, OPERATOR, "guest", user.upper(), f"{user} "}

    assert await allowed(connection, names, publish, refusal=ChannelPreconditionFailed) == {user}


@each_user
async def test_a_service_publishes_to_its_own_retry_queues_and_to_no_other_queue_directly(
    connection: AbstractConnection, user: str
) -> None:
    async def publish(channel: AbstractChannel, exchange: str) -> None:
        key = next(iter(PUBLISHES[user]), "1s") if exchange == "events" else "1s"
        await channel.basic_publish(b"", exchange=exchange, routing_key=key)

    own = {f"{queue}.retry" for queue in READS[user]}
    expected = own | ({"events"} if PUBLISHES[user] else set())

    assert await allowed(connection, EXCHANGES | BUILT_IN, publish) == expected


@each_user
async def test_a_service_reaches_no_queue_directly(connection: AbstractConnection, user: str) -> None:
    async def publish(channel: AbstractChannel, queue: str) -> None:
        await channel.basic_publish(b"", exchange=DEFAULT, routing_key=queue)

    assert await allowed(connection, QUEUES, publish) == set()


@each_user
async def test_a_service_reads_its_own_queues_and_no_dead_letters(
    connection: AbstractConnection, user: str
) -> None:
    async def get(channel: AbstractChannel, queue: str) -> None:
        await channel.basic_get(queue)

    async def consume(channel: AbstractChannel, queue: str) -> None:
        await channel.basic_consume(queue, _ignore)

    assert await allowed(connection, QUEUES, get) == READS[user]
    assert await allowed(connection, QUEUES, consume) == READS[user]


@each_user
async def test_a_service_empties_no_queue_but_its_own_and_deletes_none(
    connection: AbstractConnection, user: str
) -> None:
    async def purge(channel: AbstractChannel, queue: str) -> None:
        await channel.queue_purge(queue)

    async def delete(channel: AbstractChannel, queue: str) -> None:
        await channel.queue_delete(queue)

    # RabbitMQ knows no right to read without that to purge.
    assert await allowed(connection, QUEUES, purge) == READS[user]
    assert await allowed(connection, QUEUES, delete) == set()


@each_user
async def test_a_service_declares_and_deletes_nothing_at_the_broker(
    connection: AbstractConnection, user: str
) -> None:
    async def declare_queue(channel: AbstractChannel, name: str) -> None:
        await channel.queue_declare(name, exclusive=True)

    async def declare_exchange(channel: AbstractChannel, name: str) -> None:
        await channel.exchange_declare(name)

    async def delete_exchange(channel: AbstractChannel, name: str) -> None:
        await channel.exchange_delete(name)

    assert await allowed(connection, {"", "more", f"{user}.more", f"{user}.retry.5s"}, declare_queue) == set()
    assert await allowed(connection, {"more", f"{user}.more"}, declare_exchange) == set()
    assert await allowed(connection, EXCHANGES, delete_exchange) == set()


@each_user
async def test_a_service_consumes_only_the_events_that_the_file_binds(
    connection: AbstractConnection, user: str
) -> None:
    bindings = {(queue, key) for queue in QUEUES for key in (*KEYS, "#")}
    own = {(queue, key) for queue, key in bindings if queue in READS[user] or key == "#"}

    async def bind(channel: AbstractChannel, binding: tuple[str, str]) -> None:
        await channel.queue_bind(binding[0], "events", binding[1])

    async def unbind(channel: AbstractChannel, binding: tuple[str, str]) -> None:
        await channel.queue_unbind(binding[0], "events", binding[1])

    async def bind_exchange(channel: AbstractChannel, exchange: str) -> None:
        await channel.exchange_bind(exchange, "events", "#")

    assert await allowed(connection, own, bind) == set()
    assert await allowed(connection, own, unbind) == set()
    assert await allowed(connection, EXCHANGES | BUILT_IN, bind_exchange) == set()


@each_user
async def test_a_service_has_no_rights_in_another_virtual_host(
    connection: AbstractConnection, rabbitmq: Broker, user: str
) -> None:
    """Though its user is known there as well."""
    with pytest.raises(AMQPError, match=r"Connection\.Close"):
        await aiormq.connect(rabbitmq.url_of(user))


@each_user
async def test_a_service_may_not_use_the_management_api(broker: Broker, user: str) -> None:
    password = broker.stack.secret(f"rabbitmq-{user}")
    async with httpx.AsyncClient(base_url=broker.management_url, auth=(user, password)) as http:
        for path in ("overview", "whoami", "queues", "definitions", "users"):
            assert (await http.get(f"/api/{path}")).status_code == 401, path


async def test_there_is_no_guest_and_one_administrator(broker: Broker) -> None:
    async with broker.management() as api:
        users = {user["name"]: user["tags"] for user in await api.get("users")}

    assert "guest" not in users
    assert {name for name, tags in users.items() if tags} == {OPERATOR}
    with pytest.raises(AMQPConnectionError, match="ACCESS_REFUSED"):
        await aiormq.connect(broker.url_of(OPERATOR).replace(f"{OPERATOR}:", "guest:"))


def test_every_event_may_be_published_by_somebody_and_every_queue_be_read() -> None:
    services = [one["write"] for one in DEFINITIONS["topic_permissions"] if one["user"] in SERVICES]
    main = {queue for queue in QUEUES if ".retry" not in queue and not queue.endswith(".dead")}

    operators = {event.type for event in EVENTS.values() if event.publisher == "operator"}
    published = {key for key in KEYS if any(re.fullmatch(pattern, key) for pattern in services)}
    assert published == KEYS - (operators - {SagaNudged.type})
    assert set.union(*READS.values()) == main


async def _ignore(_: Any) -> None: ...
