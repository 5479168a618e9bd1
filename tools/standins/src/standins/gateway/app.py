"""The gateway as an ASGI application: refuse, route, run the plugins, forward, pass the answer back."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Message, Receive, Scope, Send

from standins.gateway.exchange import Answer, ClientGone, Exchange
from standins.gateway.forward import (
    Trusted,
    client_of,
    complete,
    is_trusted,
    send_own,
    send_upstream,
    to_https,
    upstream_headers,
    upstream_path,
)
from standins.gateway.metrics import Metrics, Source
from standins.gateway.nginx import refusal
from standins.gateway.plan import Plan, Target
from standins.gateway.router import BadPath, normalise
from standins.gateway.upstream import Ask, BadUpstream, NameUnknown, SlowUpstream, Upstreams

# Most answers are given by then; only for the slower ones is it worth a task to watch.
_WATCH_AFTER_SECONDS = 0.05

_CLIENT_GONE = 499  # nginx's number for it


class Gateway:
    """Serves one plan; `plan` may be replaced between requests, which is how a reload takes effect. `trusted`
    are the proxies in front. `error_html` is the template of an error's page, with two `%s`: the message and
    the request's id."""

    def __init__(
        self, plan: Plan, upstreams: Upstreams, metrics: Metrics | None, trusted: Trusted, error_html: str
    ) -> None:
        self.plan = plan
        self._trusted = trusted
        self._error_html = error_html
        self._upstreams = upstreams
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plan = self.plan
        exchange = _exchange(scope, receive, self._trusted, self._error_html)
        refused = refusal(exchange, scope)
        if refused is None:
            try:
                exchange.path = normalise(scope["raw_path"])
            except BadPath:
                refused = exchange.failure(400, "Bad request")
        if refused is not None:
            return await send_own(send, exchange, plan.everywhere, refused)
        found = plan.router.find(exchange.method, exchange.path)
        if found is None:
            nothing = exchange.message(404, "no Route matched with those values")
            return await send_own(send, exchange, plan.everywhere, nothing)
        target, matched = found
        insecure = to_https(exchange, target.route, scope["scheme"], scope["raw_path"])
        if insecure is not None:
            return await send_own(send, exchange, plan.everywhere, insecure)
        try:
            answer = await _access(exchange, target)
            if answer is None:
                ask = await _ask(exchange, target, matched, scope)
                async with _cancelled_when_gone(receive):
                    answer = await self._forward(exchange, target, ask, send)
        except ClientGone:
            if exchange.answered is None:
                self._count(target, exchange, _CLIENT_GONE, "kong" if exchange.asked is None else "service")
            return None
        if answer is not None:
            await send_own(send, exchange, target.plugins, answer)
            self._count(target, exchange, answer.status, "kong")
        return None

    def malformed(self, client: tuple[str, int]) -> Answer:
        """The whole answer to what is no HTTP."""
        scope = {"method": "", "query_string": b"", "headers": [], "client": client}
        exchange = _exchange(scope, _nothing_more, self._trusted, self._error_html)
        answer = exchange.message(400, "Bad request", {b"connection": b"close"})
        complete(exchange, self.plan.everywhere, answer)
        return answer

    async def _forward(self, exchange: Exchange, target: Target, ask: Ask, send: Send) -> Answer | None:
        asked = exchange.asked = time.monotonic()
        try:
            answer = await self._upstreams.ask(target.service, ask)
        except NameUnknown:
            exchange.asked = None
            return exchange.message(503, "name resolution failed")
        except SlowUpstream:
            return exchange.failure(504, "The upstream server is timing out")
        except BadUpstream:
            return exchange.failure(502, "An invalid response was received from the upstream server")
        exchange.answered = time.monotonic()
        try:
            async with answer:
                await send_upstream(send, exchange, target.plugins, answer, asked)
        finally:
            self._count(target, exchange, answer.status, "service")
        return None

    def _count(self, target: Target, exchange: Exchange, status: int, source: Source) -> None:
        if self._metrics is not None:
            self._metrics.count(target, exchange, status, source)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _exchange(scope: Scope, receive: Receive, trusted: Trusted, error_html: str) -> Exchange:
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
        error_html=error_html,
    )


async def _access(exchange: Exchange, target: Target) -> Answer | None:
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
    """Inside the block the running task is cancelled when the client closes. Raises ClientGone then.

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
        raise ClientGone from None
    finally:
        timer.cancel()
        for running in watches:
            running.cancel()
        if gone and task is not None:
            task.uncancel()
