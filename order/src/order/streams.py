"""Who may read an order's event stream: tickets that open one, and limits on how many are open."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import SecretStr

from chassis.messaging.encryption import BadTicket, Tickets
from order.errors import OrderError
from order.problems import BadStreamTicket

_PURPOSE = "an order's event stream"


@dataclass(frozen=True)
class Reader:
    """Who reads a stream, and until when they may, in seconds of the epoch. A reader without a token sees
    what `shopper` would see, but does not count towards that shopper's streams."""

    id: UUID
    until: float
    shopper: UUID | None = None


@dataclass(frozen=True)
class StreamTicket:
    """A new ticket, valid for `seconds`."""

    ticket: str
    order_id: UUID
    seconds: int

    @property
    def href(self) -> str:
        """The URL of the stream, with the ticket."""
        return f"/v1/orders/{self.order_id}/events?ticket={self.ticket}"


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
        return StreamTicket(self._tickets.issue(content, until), order_id, int(until - now))

    def read(self, ticket: str) -> tuple[UUID, Reader]:
        """The order and the reader that the ticket is for. Raises BadStreamTicket."""
        try:
            content = self._tickets.read(ticket)
        except BadTicket:
            raise BadStreamTicket from None
        shopper = UUID(content["shopper"]) if "shopper" in content else None
        return UUID(content["order"]), Reader(UUID(content["reader"]), content["until"], shopper)


class OpenStream(Protocol):
    """An open stream of one order to one caller."""

    @property
    def caller(self) -> UUID: ...

    @property
    def order_id(self) -> UUID: ...


class Full(OrderError):
    """The process has the maximum number of streams, and no caller has more than the new one would."""


S = TypeVar("S", bound=OpenStream)


class StreamLimits(Generic[S]):
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
        self._by_caller: dict[UUID, dict[S, None]] = {}  # the oldest first
        self._count = 0

    def __iter__(self) -> Iterator[S]:
        return (stream for streams in self._by_caller.values() for stream in streams)

    def __len__(self) -> int:
        return self._count

    def admit(self, stream: S) -> S | None:
        """Add the stream. Returns the one that it displaces, if any. Raises Full."""
        displaced = self._to_displace(stream)
        if displaced is not None:
            self.discard(displaced)
        self._by_caller.setdefault(stream.caller, {})[stream] = None
        self._count += 1
        return displaced

    def discard(self, stream: S) -> None:
        """Remove the stream, if it is still there."""
        streams = self._by_caller.get(stream.caller, {})
        if stream in streams:
            del streams[stream]
            self._count -= 1
            if not streams:
                del self._by_caller[stream.caller]

    def _to_displace(self, stream: S) -> S | None:
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
