"""ASGI middleware of every service: continues the caller's trace, logs requests, limits their bodies."""

import time

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.problems import Problem
from chassis.telemetry.logs import trace_context

log = structlog.get_logger()
_SAFE = {"GET", "HEAD", "OPTIONS"}


def _header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name."""
    return next((value for key, value in scope["headers"] if key == name), None)


class Trace:
    """Binds the trace once per request, so that its log lines carry it, and logs requests that may change
    something or that fail."""

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

        with trace_context((_header(scope, b"traceparent") or b"").decode("latin-1")):
            try:
                await self._app(scope, receive, watch)
            finally:
                if status >= 400 or scope["method"] not in _SAFE:
                    ms = round((time.perf_counter() - started) * 1000, 1)
                    log.info("request", method=scope["method"], path=scope["path"], status=status, ms=ms)


class LimitBody:
    """Rejects a request whose body is larger than `max_bytes` with 413. The size of a body without
    Content-Length is counted as it is received."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            declared = _header(scope, b"content-length")
            if declared is None:
                receive = self._counted(receive)
            elif int(declared) > self.max_bytes:  # the server reads no more than the declared length
                await Problem(self._detail(), status=413).response()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                raise HTTPException(413, self._detail())
            return message

        return counted

    def _detail(self) -> str:
        return f"A request body may have {self.max_bytes} bytes at most."
