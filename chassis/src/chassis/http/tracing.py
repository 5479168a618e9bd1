"""ASGI middleware that continues the caller's trace, and logs requests that may change something or that
fail."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.telemetry.logs import trace_context

log = structlog.get_logger()
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Trace:
    """Binds the trace once per request, so that its log lines carry it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with trace_context(_traceparent(scope)):
            try:
                await self._app(scope, receive, watch)
            finally:
                if status >= 400 or scope["method"] not in _SAFE:
                    ms = round((time.perf_counter() - started) * 1000, 1)
                    log.info("request", method=scope["method"], path=scope["path"], status=status, ms=ms)


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return str(value, "latin-1")
    return None
