"""The gateway as an ASGI application: refuse, route, run the plugins, forward, pass the answer back."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive, Scope, Send

from standins.gateway.exchange import Answer, ClientGone, Exchange
from standins.gateway.forward import (
    Trusted,
    client_of,
    forwarded,
    is_trusted,
    send_own,
    send_upstream,
    upstream_headers,
    upstream_path,
)
from standins.gateway.metrics import Metrics
from standins.gateway.plan import Plan, Target
from standins.gateway.router import BadPath, normalise
from standins.gateway.upstream import Ask, BadUpstream, NameUnknown, SlowUpstream, Upstreams

_LONGEST_HEADER = 8 * 1024 - len(": \r\n")  # nginx's large_client_header_buffers

# Most answers are given by then; only for the slower ones is it worth a task to watch.
_WATCH_AFTER_SECONDS = 0.05

# nginx refuses a request that carries one of these twice.
_ONCE = frozenset(
    b"authorization host content-length transfer-encoding expect if-modified-since if-unmodified-since"
    b" if-match if-none-match if-range content-range".split()
)


class Gateway:
    """Serves one plan; `plan` may be replaced between requests, which is how a reload takes effect. `trusted`
    are the proxies in front."""

    def __init__(self, plan: Plan, upstreams: Upstreams, metrics: Metrics | None, trusted: Trusted) -> None:
        self.plan = plan
        self._trusted = trusted
        self._upstreams = upstreams
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        plan = self.plan
        exchange = _exchange(scope, receive, self._trusted)
        try:
            exchange.path = normalise(scope["raw_path"])
            _refuse_bad_headers(exchange)
        except BadPath:
            bad = exchange.plain(400, "Bad request")
            return await send_own(send, exchange, plan.everywhere, bad, started)
        found = plan.router.find(exchange.method, exchange.path)
        if found is None:
            nothing = exchange.message(404, "no Route matched with those values")
            return await send_own(send, exchange, plan.everywhere, nothing, started)
        target, matched = found
        try:
            answer = await _access(
                exchange, target, forwarded(exchange, b"x-forwarded-proto", scope["scheme"])
            )
            if answer is None:
                ask = await _ask(exchange, target, matched, scope)
                async with _cancelled_when_gone(receive):
                    answer = await self._forward(exchange, target, ask, send, started)
        except ClientGone:
            return None
        if answer is not None:
            await send_own(send, exchange, target.plugins, answer, started)
            if self._metrics is not None:
                self._metrics.count(target, answer.status, started)
        return None

    async def _forward(
        self, exchange: Exchange, target: Target, ask: Ask, send: Send, started: float
    ) -> Answer | None:
        asked = time.monotonic()
        try:
            answer = await self._upstreams.ask(target.service, ask)
        except NameUnknown:
            return exchange.message(503, "name resolution failed")
        except SlowUpstream:
            return exchange.failure(504, "The upstream server is timing out")
        except BadUpstream:
            return exchange.failure(502, "An invalid response was received from the upstream server")
        answered = time.monotonic()
        async with answer:
            await send_upstream(send, exchange, target.plugins, answer, started, asked)
        if self._metrics is not None:
            self._metrics.count(target, answer.status, started, asked, answered)
        return None


def _exchange(scope: Scope, receive: Receive, trusted: Trusted) -> Exchange:
    every = scope["headers"]
    peer = scope["client"][0]
    is_proxy = is_trusted(peer, trusted)
    via = [value.decode("latin-1") for name, value in every if name == b"x-forwarded-for"] if is_proxy else []
    return Exchange(
        method=scope["method"],
        path="",
        query=scope["query_string"],
        headers=dict(reversed(every)),
        every_header=every,
        client=client_of(peer, via, trusted),
        peer=peer,
        trusted=is_proxy,
        request_id=os.urandom(16).hex(),
        receive=receive,
    )


def _refuse_bad_headers(exchange: Exchange) -> None:
    if any(len(name) + len(value) > _LONGEST_HEADER for name, value in exchange.every_header):
        raise BadPath
    if len(exchange.headers) != len(exchange.every_header):
        names = [name for name, _ in exchange.every_header if name in _ONCE]
        if len(names) != len(set(names)):
            raise BadPath


async def _access(exchange: Exchange, target: Target, scheme: str) -> Answer | None:
    if target.route.protocols == ["https"] and scheme != "https":
        upgrade = {b"connection": b"Upgrade", b"upgrade": b"TLS/1.2, HTTP/1.1"}
        return exchange.message(426, "Please use HTTPS protocol", upgrade)
    for plugin in target.plugins:
        answer = await plugin.access(exchange)
        if answer is not None:
            return answer
    return None


async def _ask(exchange: Exchange, target: Target, matched: str, scope: Scope) -> Ask:
    path = upstream_path(target, exchange.path, matched)
    if exchange.query:
        path += "?" + exchange.query.decode("latin-1")
    headers = upstream_headers(exchange, target, matched, scope["scheme"], scope["server"][1])
    body = exchange.body
    if body is None:
        carries = b"content-length" in exchange.headers or b"transfer-encoding" in exchange.headers
        body = await exchange.read_body() if carries else b""
    return Ask(exchange.method, path, headers, body)


@asynccontextmanager
async def _cancelled_when_gone(receive: Receive) -> AsyncIterator[None]:
    """Inside the block the running task is cancelled when the client closes; the block then ends quietly.

    The request's body must have been read, or not be wanted: `receive` is used here.
    """
    task, gone = asyncio.current_task(), False
    watches: list[asyncio.Task[None]] = []

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if task is not None:
            task.cancel()

    def start() -> None:
        watches.append(asyncio.create_task(watch()))

    timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, start)
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
    finally:
        timer.cancel()
        for running in watches:
            running.cancel()
        if gone and task is not None:
            task.uncancel()
