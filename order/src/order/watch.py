"""Open event streams, all supplied by one poll of the database, since any process may have written the
change."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import structlog
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session
from starlette.types import Receive, Scope, Send

from chassis.errors import Unavailable
from chassis.telemetry.logs import without_trace
from order.bank_page import Actions
from order.settings import Settings
from order.store import Orders
from order.streams import Full, Reader, Stream, StreamLimits

log = structlog.get_logger()


class Watch:
    """Supplies the open streams.

    It polls after `watch_every` seconds, or when woken, but waits at least `watch_gap` between two polls. A
    silent stream gets a comment after `stream_heartbeat`. The last state waits at most `stream_patience` for
    its event.
    """

    def __init__(self, settings: Settings, orders: Orders, actions: Actions, stopping: asyncio.Event) -> None:
        self._settings = settings
        self._orders = orders
        self._actions = actions
        self._stopping = stopping
        self._streams = StreamLimits(
            per_order=settings.max_streams_per_order,
            per_caller=settings.max_streams_per_caller,
            most=settings.max_streams,
        )
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self, order_id: UUID, delivered: Sequence[str], reader: Reader) -> Stream:
        """A stream, to be read with `read`. Raises Unavailable if there are too many."""
        if self._stopping.is_set():
            raise Unavailable("Server is shutting down.", retry_after=5)
        until = asyncio.get_running_loop().time() + reader.until - time.time()
        wait = self._settings.stream_patience
        stream = Stream(order_id, delivered, wait, self._actions, reader=reader, until=until)
        try:
            displaced = self._streams.admit(stream)
        except Full:
            raise Unavailable("Too many open event streams.", retry_after=5) from None
        if displaced is not None:
            displaced.displace()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=without_trace())
        self.wake()
        return stream

    def close(self, stream: Stream) -> None:
        """The reader has gone."""
        self._streams.discard(stream)

    async def read(self, stream: Stream) -> AsyncIterator[bytes]:
        """The chunks for the reader, until the order has ended or the reader's token expires."""
        now = asyncio.get_running_loop().time
        while not (stream.ended and stream.chunks.empty()) and now() < stream.until:
            yield await self._next(stream, min(self._settings.stream_heartbeat, stream.until - now()))

    def wake(self) -> None:
        """Poll soon, because something was committed."""
        self._awake.set()

    async def aclose(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _next(self, stream: Stream, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await stream.chunks.get()
        except TimeoutError:
            return KEEPALIVE_COMMENT

    async def _run(self) -> None:
        every, gap = self._settings.watch_every, self._settings.watch_gap
        try:
            while self._streams and not self._stopping.is_set():
                self._awake.clear()
                if streams := [stream for stream in self._streams if not stream.ended]:
                    await self._poll(streams)
                await asyncio.sleep(gap)
                with suppress(TimeoutError):
                    async with asyncio.timeout(every - gap):
                        await self._awake.wait()
        finally:
            self._task = None
            for stream in self._streams:
                stream.end()

    async def _poll(self, streams: Sequence[Stream]) -> None:
        try:
            rows = await self._orders.changes(
                [stream.order_id for stream in streams],
                [stream.state for stream in streams],
                [",".join(stream.delivered) for stream in streams],
            )
        except Exception:
            log.exception("polling for streams failed", streams=len(streams))
            return
        now = asyncio.get_running_loop().time()
        for n, changes in groupby(rows, key=itemgetter("n")):
            streams[n - 1].consume([*changes], now)


def wake_on_commit(engine: AsyncEngine, wake: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Call `wake` after each transaction of this process. Returns a function that stops that."""

    def committed(session: Session) -> None:
        if session.bind is engine.sync_engine:
            wake()

    event.listen(Session, "after_commit", committed)

    async def stop() -> None:
        event.remove(Session, "after_commit", committed)

    return stop


class EventStream(StreamingResponse):
    """A response with a stream, which is closed however the response ends."""

    media_type = "text/event-stream"

    def __init__(self, watch: Watch, stream: Stream) -> None:
        super().__init__(watch.read(stream), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._close = partial(watch.close, stream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
