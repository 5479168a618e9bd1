"""The services behind the edge: one server that answers with what it saw, or misbehaves as the query asks."""

import asyncio
import threading
from collections import Counter, defaultdict
from typing import Any, Self

from aiohttp import web
from multidict import CIMultiDict


class Fake:
    """Runs in a thread of its own, on a port for each name.

    The query's `do` chooses the behaviour, `key` tells requests apart.
    """

    def __init__(self, *names: str) -> None:
        self.ports: dict[str, int] = {}
        self._names = names
        self.tries: Counter[str] = Counter()
        self._left: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._asked: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._released: dict[str, asyncio.Event] = {}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def addresses(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}

    def asked(self, key: str) -> threading.Event:
        """Is set once the request has come."""
        return self._asked[key]

    def leaving(self, key: str) -> threading.Event:
        """Is set once the client of a request that hangs has gone."""
        return self._left[key]

    def release(self, key: str) -> None:
        """Lets a stream go on that waits after its first event."""
        self._loop.call_soon_threadsafe(self._gate(key).set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        runner = web.AppRunner(_app(self._answer), handler_cancellation=True)
        await runner.setup()
        for name in self._names:
            await web.TCPSite(runner, "0.0.0.0", 0).start()
            self.ports[name] = runner.addresses[-1][1]

    def _gate(self, key: str) -> asyncio.Event:
        return self._released.setdefault(key, asyncio.Event())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        key = request.query.get("key", "")
        self.tries[key] += 1
        self._asked[key].set()
        match request.query.get("do"):
            case "hang":
                return await self._hang(key)
            case "close":
                return _raw(request, b"")
            case "cut":
                return _raw(request, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            case "until-close":
                return _raw(request, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
            case "big-header":
                return web.Response(headers={"X-Big": "x" * 6000})
            case "own-headers":
                return web.Response(headers={"X-Frame-Options": "SAMEORIGIN", "Vary": "Accept"})
            case "cookies":
                return web.Response(headers=CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
            case "stream":
                return await self._stream(request, key)
        return await self._echo(request)

    async def _hang(self, key: str) -> web.Response:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self._left[key].set()
            raise
        return web.Response()

    async def _echo(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        port = request.transport.get_extra_info("sockname")[1]
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            low = name.lower()
            headers[low] = f"{headers[low]}; {value}" if low in headers else value
        seen = {
            "service": next(name for name, known in self.ports.items() if known == port),
            "method": request.method,
            "path": request.raw_path,
            "headers": headers,
            "body": len(await request.read()),
        }
        return web.json_response(seen, headers={"Server": "fake"})

    async def _stream(self, request: web.Request, key: str) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: first\n\n")
        try:
            async with asyncio.timeout(30):
                await self._gate(key).wait()
        except asyncio.CancelledError:
            self._left[key].set()
            raise
        await stream.write(b"data: second\n\n")
        return stream


def _app(handler: Any) -> web.Application:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handler)
    return app


def _raw(request: web.Request, answer: bytes) -> web.Response:
    assert request.transport is not None
    request.transport.write(answer)
    request.transport.close()
    return web.Response()
