"""Answers on their way to the client: the gateway's own, and an upstream's as it arrives."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from aiohttp import ClientError, ClientResponse

from standins.gateway.answers import SERVER, VIA
from standins.gateway.exchange import Answer, Exchange, Headers, Plugin

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)

# `date` is left to the server in front, which writes its own.
_NOT_RETURNED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate te trailer trailers transfer-encoding upgrade"
    b" date".split()
)


async def send_own(
    send: Send, exchange: Exchange, plugins: Iterable[Plugin], answer: Answer, started: float
) -> None:
    """Sends an answer of the gateway; `started` is when the request came in (time.monotonic)."""
    headers = answer.headers
    headers[b"content-length"] = b"%d" % len(answer.body)
    headers[b"server"] = SERVER
    headers[b"x-kong-request-id"] = exchange.request_id.encode()
    headers[b"x-kong-response-latency"] = b"%d" % ((time.monotonic() - started) * 1000)
    for plugin in plugins:
        plugin.decorate(exchange, headers)
    if answer.status >= 500:
        log.warning("%s %s %d %s", exchange.method, exchange.path, answer.status, exchange.request_id)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers.items()})
    await send({"type": "http.response.body", "body": answer.body})


async def send_upstream(
    send: Send,
    exchange: Exchange,
    plugins: Iterable[Plugin],
    answer: ClientResponse,
    started: float,
    asked: float,
) -> None:
    """Passes an upstream's answer on, piece by piece. Ends without an end when the upstream breaks off."""
    headers, cookies = _returned(answer.raw_headers)
    now = time.monotonic()
    headers[b"x-kong-upstream-latency"] = b"%d" % ((now - asked) * 1000)
    headers[b"x-kong-proxy-latency"] = b"%d" % ((asked - started) * 1000)
    headers[b"x-kong-request-id"] = exchange.request_id.encode()
    via = headers.get(b"via")
    headers[b"via"] = via + b", " + VIA if via else VIA
    for plugin in plugins:
        plugin.decorate(exchange, headers)
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": [*headers.items(), *cookies]}
    )
    body, ended = answer.content, False
    try:
        while not ended:
            piece = await body.readany()
            ended = body.at_eof()
            await send({"type": "http.response.body", "body": piece, "more_body": not ended})
    except (ClientError, OSError) as error:
        log.warning("%s %s broke off: %r", exchange.method, exchange.path, error)


def _returned(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Headers, list[tuple[bytes, bytes]]]:
    headers: Headers = {}
    cookies: list[tuple[bytes, bytes]] = []
    for original, value in raw:
        name = original.lower()
        if name == b"set-cookie":
            cookies.append((name, value))
        elif name in headers:
            headers[name] += b", " + value
        elif name not in _NOT_RETURNED:
            headers[name] = value
    return headers, cookies
