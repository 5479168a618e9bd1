"""One request on its way through the plugins, the answers that Kong gives itself, and what plugins share.

Header names are lower case throughout.
"""

import re
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
_HTML: Final = b"text/html; charset=utf-8"
# Which of Kong's templates a media type gets; any other one gets JSON.
_TYPES: Final = {b"text/html": _HTML, b"text/plain": _TEXT, b"text/*": _TEXT}
_QUALITY: Final = re.compile(rb"\s*[qQ]=(1(?:\.0{0,3})?|0(?:\.\d{0,3})?)\s*")


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
    `error_html` is the template of an error's page.
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
    error_html: str
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
        """An error of Kong: no route, size and rate limits, name resolution. JSON, unless the client prefers
        a page or text."""
        return self._error(status, text, headers, self.headers.get(b"accept", b""))

    def failure(self, status: int, text: str, headers: Headers | None = None) -> Answer:
        """An error of nginx: plain text, unless the client accepts, or else sends, another type."""
        wanted = self.headers.get(b"accept", self.headers.get(b"content-type", b"text/plain"))
        return self._error(status, text, headers, wanted)

    def _error(self, status: int, text: str, headers: Headers | None, wanted: bytes) -> Answer:
        kind = error_type(wanted)
        if kind == _HTML:
            body = self.error_html % (text, self.request_id)
        elif kind == _TEXT:
            body = f"{text}\nrequest_id: {self.request_id}\n"
        else:
            body = f'{{\n  "message":"{text}",\n  "request_id":"{self.request_id}"\n}}'
        return Answer(status, {b"content-type": kind, **(headers or {})}, body.encode())


def error_type(accept: bytes) -> bytes:
    """The type of an error: that of the first of the accepted ones with the highest quality."""
    found, highest = _JSON, 0.0
    for one in accept.split(b","):
        media_type, *parameters = one.split(b";")
        given = [match for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
        quality = float(given[-1][1]) if given else 1.0
        if b"/" in media_type and quality > highest:
            found, highest = _TYPES.get(media_type.strip(), _JSON), quality
    return found


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
