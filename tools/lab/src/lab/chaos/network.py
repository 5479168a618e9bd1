"""The ways between the shop's programs and what they need, each through a gate of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack import Stack
from devstack.stack import HOST
from lab.chaos.gate import Gate, to_port, to_socket
from shop.targets import SERVICES

_SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Network:
    """`all`: the gate of each (client, server); `amqp_ports`: by service, one for each node of the broker."""

    all: Mapping[tuple[str, str], Gate]
    amqp_ports: Mapping[str, list[int]]
    provider_port: int

    async def close(self) -> None:
        for gate in self.all.values():
            await gate.close()


async def build(stack: Stack) -> Network:
    gates: dict[tuple[str, str], Gate] = {}
    amqp_ports = {}
    for service in SERVICES:
        broker = gates[service, "broker"] = Gate()
        amqp_ports[service] = [await broker.listen(to_port(HOST, port)) for port in stack.amqp_ports]
        database = gates[service, "database"] = Gate()
        socket = stack.sockets / "postgres" / _SOCKET
        await database.listen_at(_folder(stack, service) / _SOCKET, to_socket(socket))
    provider = gates["payment", "provider"] = Gate()
    provider_port = await provider.listen(to_port(HOST, stack.ports["sandbox"]))
    return Network(gates, amqp_ports, provider_port)


def settings(stack: Stack, network: Network) -> Mapping[str, Mapping[str, str]]:
    """The stack's, and what sends every service through its gates."""
    through: dict[str, dict[str, str]] = {
        service: {
            **stack.settings.get(service, {}),
            "AMQP_URL": ",".join(stack.amqp_url(service, port=port) for port in network.amqp_ports[service]),
            "DATABASE_URL": stack.database_url(service, sockets=_folder(stack, service)),
        }
        for service in SERVICES
    }
    through["payment"]["STRIPE_API_BASE"] = f"http://{HOST}:{network.provider_port}"
    return {**stack.settings, **through}


def _folder(stack: Stack, service: str) -> Path:
    """Where the service finds the gate to its database, in place of the server's own socket."""
    folder = stack.sockets / service
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
