"""Kong's status listener, apart from the public one: whether the configuration is loaded, and the figures."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from standins.gateway.metrics import Metrics


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
