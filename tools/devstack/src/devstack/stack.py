"""One stack described by data: where it lives, its ports, its secrets and the addresses made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import TypeAdapter

from devstack import ports
from devstack.layout import Layout, default_folder, socket_folder
from order.operations import NUDGE_DAYS
from shop.errors import ShopError
from shop.machine import write
from shop.secrets import Secrets, role_secret
from shop.targets import OPERATOR, SERVICES

HOST = "127.0.0.1"

Settings = Mapping[str, Mapping[str, str]]


def numbered(name: str, count: int) -> list[str]:
    """`order`, `order-2`, `order-3`."""
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]


def own_port(copy: str) -> str:
    """The name of the port that one copy of a service does not share with the others."""
    return f"{copy}'s own"


def more_ports(brokers: int, replicas: int) -> list[str]:
    """Names of the ports that a cluster and copies need on top of the usual."""
    kinds = ("amqp", "distribution", "management")
    nodes = [name for kind in kinds for name in numbered(kind, brokers)[1:]]
    copies = [own_port(copy) for service in SERVICES for copy in numbered(service, replicas)]
    return nodes + (copies if replicas > 1 else [])


@dataclass(frozen=True)
class Stack:
    """Readable by anyone who may read its folder: `Stack.load().amqp_url("operator")`."""

    folder: Path
    port_base: int
    sockets: Path
    durable: bool = True  # False: PostgreSQL does not fsync, for stacks that are thrown away
    topology: Path | None = None  # RabbitMQ's definitions; None: a bare broker
    settings: Settings = field(default_factory=dict)  # environment on top of the usual, by program
    brokers: int = 1  # nodes of RabbitMQ, one cluster
    replicas: int = 1  # copies of every service

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The stack that was last started there. Raises ShopError if there never was one."""
        folder = folder or default_folder()
        try:
            state = json.loads(Layout(folder).state.read_text())
        except FileNotFoundError:
            raise ShopError(f"no stack in {folder}: start one with `shop up`") from None
        return TypeAdapter(cls).validate_python({**state, "folder": folder})

    @classmethod
    def create(
        cls,
        folder: Path,
        port_base: int,
        *,
        durable: bool = True,
        topology: Path | None = None,
        settings: Settings | None = None,
        brokers: int = 1,
        replicas: int = 1,
    ) -> Self:
        """A new stack, or other ports and settings for the one that is there, remembered for `load`."""
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        sockets = cls.load(folder).sockets if Layout(folder).state.exists() else None
        if sockets is None or not (sockets.exists() or sockets.parent == folder):
            sockets = socket_folder(folder)  # the first, or /tmp was cleared, by `down` or a reboot
        stack = cls(folder, port_base, sockets, durable, topology, settings or {}, brokers, replicas)
        state = TypeAdapter(Stack).dump_python(stack, mode="json", exclude={"folder"})
        write(stack.layout.state, json.dumps(state | {"urls": stack.urls()}, indent=2))
        return stack

    @property
    def layout(self) -> Layout:
        return Layout(self.folder)

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets(self.layout.secrets)

    @cached_property
    def ports(self) -> dict[str, int]:
        return ports.block(self.port_base, more_ports(self.brokers, self.replicas))

    @property
    def nodes(self) -> list[str]:
        """The programs that are RabbitMQ's nodes."""
        return numbered("rabbitmq", self.brokers)

    def copies(self, service: str) -> list[str]:
        """The programs that run a service."""
        return numbered(service, self.replicas)

    def secret(self, name: str) -> str:
        return self.secrets.read(name)

    def http(self, program: str) -> str:
        """`http://127.0.0.1:<port>` of a program, without a slash at the end."""
        return f"http://{HOST}:{self.ports[program]}"

    @property
    def gateway_url(self) -> str:
        return self.http("gateway")

    @property
    def gateway_tls_url(self) -> str:
        """Likewise over TLS. `ca.pem` among the secrets is the CA to trust."""
        return f"https://localhost:{self.ports['gateway-tls']}"

    @property
    def sandbox_url(self) -> str:
        return self.http("sandbox")

    provider_url = sandbox_url

    @property
    def provider_key(self) -> str:
        return self.secret("stripe-api-key")

    @property
    def mailbox_url(self) -> str:
        return self.http("mailbox")

    @property
    def management_url(self) -> str:
        """RabbitMQ's management page and API; sign in as `operator` with `secret("rabbitmq-operator")`."""
        return self.http("management")

    def urls(self) -> dict[str, str]:
        """What a person opens in a browser or calls by hand; nothing secret."""
        names = ("gateway", *SERVICES, "sandbox", "mailbox", "storefront")
        others = {"gateway-tls": self.gateway_tls_url, "rabbitmq": self.management_url}
        return {name: self.http(name) for name in names} | others

    @property
    def amqp_ports(self) -> list[int]:
        """One for each node of the broker."""
        return [self.ports[name] for name in numbered("amqp", self.brokers)]

    def amqp_url(self, user: str, vhost: str = "/", *, port: int | None = None) -> str:
        """At the first node, or at the one that listens on `port`."""
        password = self.secrets.password(f"rabbitmq-{user}")
        return f"amqp://{user}:{password}@{HOST}:{port or self.ports['amqp']}/{quote(vhost, safe='')}"

    def amqp_login(self, service: str, ports: Sequence[int] = ()) -> dict[str, str]:
        """A service's settings for the broker: every node, or `ports`, and the file of the password."""
        urls = ",".join(f"amqp://{service}@{HOST}:{port}/%2F" for port in ports or self.amqp_ports)
        return {"AMQP_URL": urls, "AMQP_PASSWORD_FILE": str(self.secrets.path(f"rabbitmq-{service}"))}

    @property
    def operator_amqp_url(self) -> str:
        return self.amqp_url(OPERATOR)

    admin_email = "admin@example.com"

    warehouse_email = "warehouse@example.com"

    @property
    def admin_password(self) -> str:
        return self.secret("admin-password")

    @property
    def customers_secret(self) -> str:
        return self.secret("replay")

    @property
    def nudge_days(self) -> int:
        return int(self.settings.get("order", {}).get("NUDGE_DAYS", NUDGE_DAYS))

    def database_url(self, service: str, database: str | None = None) -> str:
        """For SQLAlchemy; as the service's own role, into its own database unless another is named."""
        return self._dsn("postgresql+asyncpg", service, database or service)

    def database_login(
        self, role: str, database: str | None = None, *, sockets: Path | None = None
    ) -> dict[str, str]:
        """The settings with which a service's role connects to its database: the file of its password, and a
        URL without; `sockets` is the folder of the server's socket if it is another."""
        url = f"postgresql+asyncpg://{role}@/{database or role}?host={self._socket_host(sockets)}"
        return {
            "DATABASE_URL": url,
            "DATABASE_PASSWORD_FILE": str(self.secrets.path(role_secret(role))),
        }

    def operator_dsn(self, database: str = "postgres") -> str:
        """For asyncpg and psql; as superuser."""
        return self._dsn("postgresql", OPERATOR, database)

    def _dsn(self, scheme: str, role: str, database: str) -> str:
        password = self.secrets.password(role_secret(role))
        return f"{scheme}://{role}:{password}@/{database}?host={self._socket_host()}"

    def _socket_host(self, sockets: Path | None = None) -> str:
        return quote(str(sockets or self.sockets / "postgres"), safe="/")
