"""What a plugin sees of one request and of its answer. Header names are lower case throughout."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Headers = dict[bytes, bytes]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


@dataclass(slots=True)
class Answer:
    """An answer that the gateway gives itself, without asking an upstream."""

    status: int
    headers: Headers
    body: bytes = b""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the plugins.

    `headers` is what the client sent (the first of each name), `upstream` what the gateway sets on the way
    to the service, `removed` what it takes away. `client` is whom limits count, `peer` whoever is connected:
    a proxy, whose forwarding headers are believed if it is `trusted`.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    every_header: list[tuple[bytes, bytes]]
    client: str
    peer: str
    trusted: bool
    request_id: str
    receive: Receive
    upstream: Headers = field(default_factory=dict)
    removed: frozenset[bytes] = frozenset()
    notes: dict[object, Any] = field(default_factory=dict)
    body: bytes | None = None


class Plugin(Protocol):
    """`access` may answer in place of the service; `decorate` edits the headers of whatever is answered."""

    priority: int

    async def access(self, exchange: Exchange) -> Answer | None: ...

    def decorate(self, exchange: Exchange, headers: Headers) -> None: ...
