"""Limits on open event streams. Nobody loses a stream to a caller who has more."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class OpenStream(Protocol):
    """An open stream of one order to one caller."""

    @property
    def caller(self) -> UUID: ...

    @property
    def order_id(self) -> UUID: ...


class Full(Exception):
    """The process has the maximum number of streams, and no caller has more than the new one would."""


S = TypeVar("S", bound=OpenStream)


class StreamLimits(Generic[S]):
    """The open streams of a process: at most `per_order` of one caller to one order, `per_caller` of one
    caller and `most` of all callers.

    A stream beyond the first two limits displaces the caller's own oldest one. Beyond the third, it displaces
    the oldest stream of the caller with the most, unless that caller would then have fewer than the new one.
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
