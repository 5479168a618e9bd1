"""Open event streams: one poll of the database for all of them, whoever wrote what they wait for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import structlog
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session
from starlette.types import Receive, Scope, Send

from chassis.errors import Unavailable
from chassis.telemetry.logs import without_trace
from order.action import Actions
from order.places import Full, Places
from order.store import Orders, Row
from order.views import dumps, event_view

log = structlog.get_logger()

ENDED_BY = {"paid": "order.paid", "cancelled": "order.cancelled"}


_COME_BACK_LATER = b"retry: 15000\n\n"  # milliseconds; a reader that comes back at once displaces another


@dataclass(frozen=True)
class Reader:
    """Who reads a stream, and until when they may, in seconds of the epoch. A reader without a token is shown
    what `shopper` would be, and takes none of that shopper's places."""

    id: UUID
    until: float
    shopper: UUID | None = None


class Stream:
    """One reader of one order. `seen` names the events that the reader has, in order, by their type where it
    happens once to an order; `until` is when the reader's right ends, by the loop's clock."""

    def __init__(
        self,
        order_id: UUID,
        seen: Sequence[str],
        patience: float,
        actions: Actions,
        *,
        reader: Reader,
        until: float,
    ) -> None:
        self.order_id = order_id
        self.caller = reader.id
        self.until = until
        self.standing = ""
        self.seen = [*seen]
        self.ended = False
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._patience = patience
        self._actions = actions
        self._shopper = reader.shopper or reader.id
        self._late: float | None = None

    def consume(self, rows: Sequence[Row], now: float) -> None:
        """Pass on what is new: events, then the state that they have led to."""
        told = [self._tell(row) for row in rows if row["type"] is not None]
        status, standing = rows[0]["status"], rows[0]["standing"]
        if standing != self.standing and not self._waits_for_the_story(status, now):
            self.standing = standing
            self.ended = status in ENDED_BY
            told.append(format_sse_event(event="order", data_str=dumps(self._state(rows[0])).decode()))
        if told:
            self.chunks.put_nowait(b"".join(told))

    def end(self) -> None:
        """The server stops: the reader comes back to another."""
        self.ended = True
        self.chunks.put_nowait(b"")

    def give_way(self) -> None:
        """Another stream takes its place."""
        self.ended = True
        self.chunks.put_nowait(_COME_BACK_LATER)

    def _state(self, row: Row) -> dict[str, Any]:
        state = {name: row[name] for name in ("order_id", "number", "status", "reason")}
        return state | {"action": self._actions.of(row, self._shopper)}

    def _tell(self, row: Row) -> bytes:
        self.seen.append(row["name"])
        data = dumps(event_view(row)).decode()
        return format_sse_event(event="timeline", id=",".join(self._named()), data_str=data)

    def _named(self) -> Sequence[str]:
        """What a reader needs to come back with: nothing that follows the end of the order, or it would grow
        with every return."""
        ends = [self.seen.index(end) for end in ENDED_BY.values() if end in self.seen]
        return self.seen[: max(ends) + 1] if ends else self.seen

    def _waits_for_the_story(self, status: str, now: float) -> bool:
        """The timeline has a queue of its own, which may be a little behind: a reader wants both."""
        if status not in ENDED_BY or ENDED_BY[status] in self.seen:
            return False
        self._late = self._late or now + self._patience
        return now < self._late


class Watch:
    """Keeps streams supplied. In seconds: it looks after `every`, or when woken, but not more often than each
    `gap`; a silent stream gets a comment after `heartbeat`; the last state waits `patience` for the event
    that led to it. `places` are the streams that may be open."""

    def __init__(
        self,
        orders: Orders,
        actions: Actions,
        stopping: asyncio.Event,
        *,
        every: float,
        gap: float,
        heartbeat: float,
        patience: float,
        places: Places[Stream],
    ) -> None:
        self._orders = orders
        self._actions = actions
        self._stopping = stopping
        self._every = every
        self._gap = gap
        self._heartbeat = heartbeat
        self._patience = patience
        self._streams = places
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self, order_id: UUID, seen: Sequence[str], reader: Reader) -> Stream:
        """A stream, to be read with `read`. Raises Unavailable when there are too many."""
        if self._stopping.is_set():
            raise Unavailable("Server is shutting down.", retry_after=5)
        until = asyncio.get_running_loop().time() + reader.until - time.time()
        stream = Stream(order_id, seen, self._patience, self._actions, reader=reader, until=until)
        try:
            displaced = self._streams.admit(stream)
        except Full:
            raise Unavailable("Too many open event streams.", retry_after=5) from None
        if displaced is not None:
            displaced.give_way()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), context=without_trace())
        self.wake()
        return stream

    def close(self, stream: Stream) -> None:
        """Nobody reads it any more."""
        self._streams.discard(stream)

    async def read(self, stream: Stream) -> AsyncIterator[bytes]:
        """What goes to the reader, until the order has ended, or the reader's right."""
        now = asyncio.get_running_loop().time
        while not (stream.ended and stream.chunks.empty()) and now() < stream.until:
            yield await self._next(stream, min(self._heartbeat, stream.until - now()))

    def wake(self) -> None:
        """Something was committed: look soon."""
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
        try:
            while self._streams and not self._stopping.is_set():
                self._awake.clear()
                if streams := [stream for stream in self._streams if not stream.ended]:
                    await self._look(streams)
                await asyncio.sleep(self._gap)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every - self._gap):
                        await self._awake.wait()
        finally:
            self._task = None
            for stream in self._streams:
                stream.end()

    async def _look(self, streams: Sequence[Stream]) -> None:
        try:
            rows = await self._orders.news(
                [stream.order_id for stream in streams],
                [stream.standing for stream in streams],
                [",".join(stream.seen) for stream in streams],
            )
        except Exception:
            log.exception("could not look for news", streams=len(streams))
            return
        now = asyncio.get_running_loop().time()
        for n, news in groupby(rows, key=itemgetter("n")):
            streams[n - 1].consume([*news], now)


def wake_on_commit(engine: AsyncEngine, wake: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Call `wake` after each of this process's transactions; await what is returned to stop that."""

    def committed(session: Session) -> None:
        if session.bind is engine.sync_engine:
            wake()

    event.listen(Session, "after_commit", committed)

    async def stop() -> None:
        event.remove(Session, "after_commit", committed)

    return stop


class EventStream(StreamingResponse):
    """Answers with a stream; whichever way the answer ends, the stream's place is free again."""

    media_type = "text/event-stream"

    def __init__(self, watch: Watch, stream: Stream) -> None:
        super().__init__(watch.read(stream), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._leave = partial(watch.close, stream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
