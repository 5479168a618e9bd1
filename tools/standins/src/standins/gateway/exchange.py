"""One request on its way through the plugins, the answers that Kong gives itself, and what plugins share.

Header names are lower case throughout.
"""

import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive

Headers = dict[bytes, bytes]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Milliseconds = Annotated[int, Field(gt=0, lt=2**31)]
Name = TypeVar("Name", bound=str)
Config = TypeVar("Config", bound=BaseModel)

SERVER: Final = b"kong/3.9.3"
VIA: Final = b"1.1 kong/3.9.3"

_JSON: Final = b"application/json; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"


class TooLarge(Exception):
    """The body is longer than allowed."""


class ClientGone(Exception):
    """The client closed its connection."""


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
    to the service, `removed` what it takes away. `client` is the address that limits count, `peer` the
    one that is connected: a proxy, whose forwarding headers are believed if it is `trusted`. By the monotonic
    clock it came in when it `started`; the service was `asked`, and its head came when it had `answered`.
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
    started: float = field(default_factory=time.monotonic)
    asked: float | None = None
    answered: float | None = None
    upstream: Headers = field(default_factory=dict)
    removed: frozenset[bytes] = frozenset()
    notes: dict[object, Any] = field(default_factory=dict)
    body: bytes | None = None

    async def read_body(self, limit: int | None = None) -> bytes:
        """The whole body, which Kong reads before it turns to the upstream.

        Raises TooLarge past `limit` bytes, ClientGone when the connection closes.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ClientGone
            part = event.get("body", b"")
            size += len(part)
            if limit is not None and size > limit:
                raise TooLarge
            if not event.get("more_body"):
                return b"".join((*parts, part)) if parts else part
            parts.append(part)

    def message(self, status: int, text: str, headers: Headers | None = None) -> Answer:
        """The pretty-printed body with a request id: no route, size and rate limits, name resolution."""
        body = f'{{\n  "message":"{text}",\n  "request_id":"{self.request_id}"\n}}'.encode()
        return Answer(status, {b"content-type": _JSON, **(headers or {})}, body)

    def failure(self, status: int, text: str, headers: Headers | None = None) -> Answer:
        """An error of nginx: plain text with a request id, unless the client accepts, or else sends, another
        type."""
        wanted = self.headers.get(b"accept", self.headers.get(b"content-type", b"text/plain"))
        if not wanted.startswith(b"text/plain"):
            return self.message(status, text, headers)
        body = f"{text}\nrequest_id: {self.request_id}\n".encode()
        return Answer(status, {b"content-type": _TEXT, **(headers or {})}, body)


def refusal(status: int, content: object, headers: Headers) -> Answer:
    """The compact body without an id that the jwt plugin gives."""
    return Answer(status, {b"content-type": _JSON, **headers}, orjson.dumps(content))


class Plugin:
    """The plugin with the highest `priority` runs first, as in Kong."""

    priority: int

    async def access(self, exchange: Exchange) -> Answer | None:
        """May answer instead of the service."""
        return None

    def decorate(self, exchange: Exchange, headers: Headers) -> None:
        """Edits the headers of whatever is answered."""


class Strict(BaseModel):
    """The root of every model of `kong.yml`: a field or value that is not declared here stops the start."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Entry(Strict, Generic[Name, Config]):
    """A plugin as `kong.yml` lists it."""

    name: Name
    config: Config
