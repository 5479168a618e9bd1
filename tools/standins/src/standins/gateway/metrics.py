"""What Kong's prometheus plugin counts of requests that had a route, by its names and in its buckets, and the
status listener that serves it, apart from the public one.

Not prometheus_client, which writes labels in an order and numbers in a form that differ from Kong's.
"""

import socket
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final, Literal

from aiohttp import web

from standins.gateway.exchange import Exchange
from standins.gateway.plan import Target

Source = Literal["kong", "service"]

_KONG: Final = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
_UPSTREAM: Final = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)


class Metrics:
    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._latencies = (
            _Latency("kong_kong_latency_ms", _KONG),
            _Latency("kong_upstream_latency_ms", _UPSTREAM),
            _Latency("kong_request_latency_ms", _UPSTREAM),
        )

    def count(self, target: Target, exchange: Exchange, status: int, source: Source) -> None:
        """One answer, of the gateway itself or of the service."""
        if not target.measured:
            return
        kong, upstream, request = self._latencies
        labels = f'service="{target.service.name}",route="{target.route.name}"'
        counted = f'{labels},code="{status}",source="{source}",workspace="default",consumer=""'
        self._requests[counted] += 1
        labels += ',workspace="default"'
        now = time.monotonic()
        request.observe(labels, now - exchange.started)
        kong.observe(labels, (exchange.asked or now) - exchange.started)
        if exchange.asked is not None:
            upstream.observe(labels, (exchange.answered or now) - exchange.asked)

    def lines(self) -> Iterator[str]:
        """The exposition format."""
        yield "# TYPE kong_http_requests_total counter"
        for labels, count in sorted(self._requests.items()):
            yield f"kong_http_requests_total{{{labels}}} {count}"
        for latency in self._latencies:
            yield from latency.lines()


class _Latency:
    def __init__(self, name: str, buckets: tuple[int, ...]) -> None:
        self._name = name
        self._buckets = buckets
        self._counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(buckets) + 1))
        self._sums: Counter[str] = Counter()

    def observe(self, labels: str, seconds: float) -> None:
        milliseconds = int(seconds * 1000)
        self._counts[labels][bisect_left(self._buckets, milliseconds)] += 1
        self._sums[labels] += milliseconds

    def lines(self) -> Iterator[str]:
        yield f"# TYPE {self._name} histogram"
        for labels, counts in sorted(self._counts.items()):
            below = 0
            for bound, count in zip((*self._buckets, "+Inf"), counts, strict=True):
                below += count
                yield f'{self._name}_bucket{{{labels},le="{bound}"}} {below}'
            yield f"{self._name}_count{{{labels}}} {below}"
            yield f"{self._name}_sum{{{labels}}} {self._sums[labels]}"


class Status:
    """`ready` is False while the last configuration that was to be loaded has been refused."""

    def __init__(self, metrics: Metrics) -> None:
        self.ready = True
        self._metrics = metrics

    @asynccontextmanager
    async def listening(self, listener: socket.socket) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/status/ready", self._readiness)
        app.router.add_get("/metrics", self._figures)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()

    async def _readiness(self, request: web.Request) -> web.Response:
        if self.ready:
            return web.json_response({"message": "ready"})
        return web.json_response({"message": "the last configuration was refused"}, status=503)

    async def _figures(self, request: web.Request) -> web.Response:
        return web.Response(text="\n".join((*self._metrics.lines(), "")), content_type="text/plain")
