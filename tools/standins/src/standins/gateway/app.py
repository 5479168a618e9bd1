"""The gateway as an ASGI application: refuse, route, run the plugins, forward, pass the answer back."""

import os
import time
from collections.abc import MutableMapping
from typing import Any

from standins.gateway.answers import failure, message, plain
from standins.gateway.body import ClientGone, read_body
from standins.gateway.client import CancelledWhenGone
from standins.gateway.exchange import Answer, Exchange, Receive
from standins.gateway.forward import forwarded, upstream_headers, upstream_path
from standins.gateway.metrics import Metrics
from standins.gateway.paths import BadPath, normalise
from standins.gateway.plan import Plan, Target
from standins.gateway.proxies import Trusted, client_of, is_trusted
from standins.gateway.relay import Send, send_own, send_upstream
from standins.gateway.upstream import Ask, BadUpstream, NameUnknown, SlowUpstream, Upstreams

Scope = MutableMapping[str, Any]

_LONGEST_HEADER = 8 * 1024 - len(": \r\n")  # nginx's large_client_header_buffers

# nginx refuses a request that carries one of these twice.
_ONCE = frozenset(
    b"authorization host content-length transfer-encoding expect if-modified-since if-unmodified-since"
    b" if-match if-none-match if-range content-range".split()
)


class Gateway:
    """Serves one plan; `plan` may be replaced between requests, which is how a reload takes effect. `trusted`
    are the proxies in front."""

    def __init__(
        self, plan: Plan, upstreams: Upstreams, metrics: Metrics | None = None, trusted: Trusted = ()
    ) -> None:
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
            _nothing_too_long(exchange)
            _nothing_twice(exchange)
        except BadPath:
            bad = plain(400, f"Bad request\nrequest_id: {exchange.request_id}\n")
            return await send_own(send, exchange, plan.everywhere, bad, started)
        found = plan.router.find(exchange.method, exchange.path)
        if found is None:
            nothing = message(exchange, 404, "no Route matched with those values")
            return await send_own(send, exchange, plan.everywhere, nothing, started)
        target, matched = found
        try:
            answer = await _access(
                exchange, target, forwarded(exchange, b"x-forwarded-proto", scope["scheme"])
            )
            if answer is None:
                ask = await _ask(exchange, target, matched, scope)
                async with CancelledWhenGone(receive):
                    answer = await self._forward(exchange, target, ask, send, started)
        except ClientGone:
            return None
        if answer is not None:
            await send_own(send, exchange, target.plugins, answer, started)
            if self._metrics is not None and target.measured:
                self._metrics.own(target, answer.status, started)
        return None

    async def _forward(
        self, exchange: Exchange, target: Target, ask: Ask, send: Send, started: float
    ) -> Answer | None:
        asked = time.monotonic()
        try:
            answer = await self._upstreams.ask(target.upstream, ask)
        except NameUnknown:
            return message(exchange, 503, "name resolution failed")
        except SlowUpstream:
            return failure(exchange, 504, "The upstream server is timing out")
        except BadUpstream:
            return failure(exchange, 502, "An invalid response was received from the upstream server")
        answered = time.monotonic()
        async with answer:
            await send_upstream(send, exchange, target.plugins, answer, started, asked)
        if self._metrics is not None and target.measured:
            self._metrics.passed_on(target, answer.status, started, asked, answered)
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


def _nothing_too_long(exchange: Exchange) -> None:
    if any(len(name) + len(value) > _LONGEST_HEADER for name, value in exchange.every_header):
        raise BadPath


def _nothing_twice(exchange: Exchange) -> None:
    if len(exchange.headers) == len(exchange.every_header):
        return
    names = [name for name, _ in exchange.every_header if name in _ONCE]
    if len(names) != len(set(names)):
        raise BadPath


async def _access(exchange: Exchange, target: Target, scheme: str) -> Answer | None:
    if target.https_only and scheme != "https":
        upgrade = {b"connection": b"Upgrade", b"upgrade": b"TLS/1.2, HTTP/1.1"}
        return message(exchange, 426, "Please use HTTPS protocol", upgrade)
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
        body = await read_body(exchange.receive) if carries else b""
    return Ask(exchange.method, path, headers, body)
