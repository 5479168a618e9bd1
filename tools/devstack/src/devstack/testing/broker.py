"""Virtual hosts for tests: each its own, on one RabbitMQ."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from devstack import Stack, rabbitmq
from devstack.testing.session import run
from shop.broker.topology import Definitions, moved_to, render
from shop.http import Management
from shop.targets import OPERATOR


@dataclass(frozen=True)
class Broker:
    """One virtual host. `url` is the operator's, who may do everything in it."""

    stack: Stack
    vhost: str

    @property
    def url(self) -> str:
        return self.url_of(OPERATOR)

    def url_of(self, user: str) -> str:
        """The AMQP URL of a user that an imported topology has brought."""
        return self.stack.amqp_url(user, self.vhost)

    @property
    def management_url(self) -> str:
        return self.stack.management_url

    def management(self) -> Management:
        """`async with rabbitmq.management() as api: await api.get("queues", rabbitmq.vhost)`."""
        return rabbitmq.management(self.stack)

    async def import_topology(self, definitions: Definitions) -> None:
        """Put exchanges, queues, bindings, policies and permissions into this virtual host.

        Users come along with passwords of their own; they are the server's, the same in every virtual host.
        """
        secrets = self.stack.secrets
        own = render(
            moved_to(self.vhost, definitions), OPERATOR, lambda user: secrets.password(f"rabbitmq-{user}")
        )
        async with self.management() as api:
            await api.post("definitions", body=own)

    async def create(self) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        async with self.management() as api:
            await api.put("vhosts", self.vhost)
            await api.put("permissions", self.vhost, OPERATOR, body=everything)

    async def delete(self) -> None:
        async with self.management() as api:
            await api.delete("vhosts", self.vhost)


@contextmanager
def fresh_vhost(stack: Stack) -> Iterator[Broker]:
    """An empty virtual host, deleted afterwards."""
    broker = Broker(stack, f"test-{secrets.token_hex(6)}")
    run(broker.create())
    try:
        yield broker
    finally:
        run(broker.delete())
