"""One request and its response, or the lack of one."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from standins.sandbox.errors import Refusal
from standins.sandbox.settings import Settings

JSON = b"application/json"
Header = tuple[bytes, bytes]
EXTENSION = "standins.disconnect"


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, and one thing more that an application can do: break off without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {EXTENSION: self.transport.abort}


class Exchange:
    """`request` is the id that the answer carries, where the provider would give one."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._disconnect: Callable[[], None] = scope["extensions"][EXTENSION]
        self._receive, self._send, self._settings = receive, send, settings
        self.request = ""

    @property
    def idempotency_key(self) -> str | None:
        return self.headers.get(b"idempotency-key", b"").decode("latin-1") or None

    @property
    def public_url(self) -> str:
        """Where the sandbox is reached from outside."""
        return self._settings.public_url or f"http://{self.headers.get(b'host', b'').decode('latin-1')}"

    async def body(self) -> bytes:
        """The whole body. Raises Refusal when it is too long or too slow."""
        if int(self.headers.get(b"content-length", b"0")) > self._settings.body_limit:
            raise self._too_long()
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                while True:
                    message = await self._receive()
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._settings.body_limit:
                        raise self._too_long()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError as problem:
            raise Refusal("The request body did not arrive in time.", status=408) from problem

    async def answer(self, status: int, content: object, *headers: Header, media: bytes = JSON) -> None:
        await self.send(status, orjson.dumps(content), *headers, media=media)

    async def send(self, status: int, body: bytes, *headers: Header, media: bytes) -> None:
        sent = [(b"content-type", media), (b"content-length", str(len(body)).encode()), *headers]
        if self.request:
            sent.append((b"request-id", self.request.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": sent})
        await self._send({"type": "http.response.body", "body": body})

    async def break_off(self, after: float) -> None:
        """Never responds: waits till the client leaves, or for `after` seconds, then closes the
        connection."""
        try:
            async with asyncio.timeout(after):
                await self._receive()
        except TimeoutError:
            self._disconnect()
            await self._receive()

    def _too_long(self) -> Refusal:
        return Refusal(f"The request body is longer than {self._settings.body_limit} bytes.", status=413)
