"""An order's event stream: the tickets that open one, what it sends, and limits on how many are open."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from fastapi.sse import format_sse_event
from pydantic import SecretStr

from chassis.messaging.encryption import BadTicket, Tickets
from order.bank_page import Actions
from order.errors import OrderError
from order.problems import BadStreamTicket
from order.schemas import StreamTicket
from order.store import Row
from order.views import dumps, event_view

_PURPOSE = "an order's event stream"
ENDED_BY = {"paid": "order.paid", "cancelled": "order.cancelled"}
_RECONNECT_LATER = b"retry: 15000\n\n"  # milliseconds; reconnecting at once would displace another stream


@dataclass(frozen=True)
class Reader:
    """Who reads a stream, and until when they may, in seconds of the epoch. A reader without a token sees
    what `shopper` would see, but does not count towards that shopper's streams."""

    id: UUID
    until: float
    shopper: UUID | None = None


class StreamTickets:
    """Issues and reads tickets. Each is valid for one order and for `seconds`, but not for longer than the
    reader's token.

    A browser's `EventSource` cannot send a token in a header, and a token in a URL would be valid for long
    after it got into histories and logs.
    """

    def __init__(self, tickets: Tickets, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._tickets = tickets
        self._seconds = seconds
        self._clock = clock

    @classmethod
    def of(cls, keys: SecretStr, *, seconds: float) -> Self:
        """With a key derived from those of the setting (see `EncryptionKeys`)."""
        return cls(Tickets.of(keys, _PURPOSE), seconds=seconds)

    def issue(self, order_id: UUID, reader: Reader) -> StreamTicket:
        """A ticket for this reader and this order's stream."""
        now = self._clock()
        until = min(now + self._seconds, reader.until)
        content = {"order": str(order_id), "reader": str(reader.id), "until": reader.until}
        if reader.shopper is not None:
            content["shopper"] = str(reader.shopper)
        ticket = self._tickets.issue(content, until)
        events = f"/v1/orders/{order_id}/events?ticket={ticket}"
        return StreamTicket(ticket=ticket, expires_in=int(until - now), events=events)

    def read(self, ticket: str) -> tuple[UUID, Reader]:
        """The order and the reader that the ticket is for. Raises BadStreamTicket."""
        try:
            content = self._tickets.read(ticket)
        except BadTicket:
            raise BadStreamTicket from None
        shopper = UUID(content["shopper"]) if "shopper" in content else None
        return UUID(content["order"]), Reader(UUID(content["reader"]), content["until"], shopper)


class Stream:
    """One reader of one order.

    `delivered` has the names of the events that the reader has received, in order (see `store`).
    `timeline_wait` is how many seconds the last state waits for its event. `until` is when the reader's token
    expires, by the loop's clock.
    """

    def __init__(
        self,
        order_id: UUID,
        delivered: Sequence[str],
        timeline_wait: float,
        actions: Actions,
        *,
        reader: Reader,
        until: float,
    ) -> None:
        self.order_id = order_id
        self.caller = reader.id
        self.until = until
        self.state = ""
        self.delivered = [*delivered]
        self.ended = False
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._timeline_wait = timeline_wait
        self._actions = actions
        self._shopper = reader.shopper or reader.id
        self._wait_until: float | None = None

    def consume(self, rows: Sequence[Row], now: float) -> None:
        """Send the new events, then the state that they have led to."""
        chunks = [self._timeline_event(row) for row in rows if row["type"] is not None]
        status, state = rows[0]["status"], rows[0]["state"]
        if state != self.state and not self._waits_for_timeline(status, now):
            self.state = state
            self.ended = status in ENDED_BY
            chunks.append(format_sse_event(event="order", data_str=dumps(self._order(rows[0])).decode()))
        if chunks:
            self.chunks.put_nowait(b"".join(chunks))

    def end(self) -> None:
        """The server is shutting down: the reader reconnects to another one."""
        self.ended = True
        self.chunks.put_nowait(b"")

    def displace(self) -> None:
        """Another stream has displaced this one."""
        self.ended = True
        self.chunks.put_nowait(_RECONNECT_LATER)

    def _order(self, row: Row) -> dict[str, Any]:
        state = {name: row[name] for name in ("order_id", "number", "status", "reason")}
        return state | {"action": self._actions.of(row, self._shopper)}

    def _timeline_event(self, row: Row) -> bytes:
        self.delivered.append(row["name"])
        data = dumps(event_view(row)).decode()
        return format_sse_event(event="timeline", id=",".join(self._last_event_id()), data_str=data)

    def _last_event_id(self) -> Sequence[str]:
        """The names that a reader needs to reconnect with. None that follow the end of the order, or the
        header would grow with every return."""
        ends = [self.delivered.index(end) for end in ENDED_BY.values() if end in self.delivered]
        return self.delivered[: max(ends) + 1] if ends else self.delivered

    def _waits_for_timeline(self, status: str, now: float) -> bool:
        """The timeline has its own queue, which may be a little behind: the last event is sent before the
        last state, because the stream ends with that."""
        if status not in ENDED_BY or ENDED_BY[status] in self.delivered:
            return False
        self._wait_until = self._wait_until or now + self._timeline_wait
        return now < self._wait_until


class Full(OrderError):
    """The process has the maximum number of streams, and no caller has more than the new one would."""


class StreamLimits:
    """The open streams of a process: at most `per_order` of one caller to one order, `per_caller` of one
    caller and `most` of all callers.

    A stream beyond the first two limits displaces the caller's own oldest one. Beyond the third, it displaces
    the oldest stream of the caller with the most, unless that caller would then have fewer than the new one:
    nobody loses a stream to a caller who has more.
    """

    def __init__(self, *, per_order: int, per_caller: int, most: int) -> None:
        self._per_order = per_order
        self._per_caller = per_caller
        self._most = most
        self._by_caller: dict[UUID, dict[Stream, None]] = {}  # the oldest first
        self._count = 0

    def __iter__(self) -> Iterator[Stream]:
        return (stream for streams in self._by_caller.values() for stream in streams)

    def __len__(self) -> int:
        return self._count

    def admit(self, stream: Stream) -> Stream | None:
        """Add the stream. Returns the one that it displaces, if any. Raises Full."""
        displaced = self._to_displace(stream)
        if displaced is not None:
            self.discard(displaced)
        self._by_caller.setdefault(stream.caller, {})[stream] = None
        self._count += 1
        return displaced

    def discard(self, stream: Stream) -> None:
        """Remove the stream, if it is still there."""
        streams = self._by_caller.get(stream.caller, {})
        if stream in streams:
            del streams[stream]
            self._count -= 1
            if not streams:
                del self._by_caller[stream.caller]

    def _to_displace(self, stream: Stream) -> Stream | None:
        own = list(self._by_caller.get(stream.caller, ()))
        of_this_order = [one for one in own if one.order_id == stream.order_id]
        if len(of_this_order) >= self._per_order:
            return of_this_order[0]
        if len(own) >= self._per_caller:
            return own[0]
        if self._count < self._most:
            return None
        most = max(self._by_caller.values(), key=len)
        if len(most) > len(own) + 1:
            return next(iter(most))
        if own:
            return own[0]
        raise Full
