"""Who may have how many event streams open. Nobody loses a stream to somebody who has more."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class Held(Protocol):
    """A stream, of an order, to a caller."""

    @property
    def caller(self) -> UUID: ...

    @property
    def order_id(self) -> UUID: ...


class Full(Exception):
    """All places are taken, and nobody has more of them than the newcomer would."""


S = TypeVar("S", bound=Held)


class Places(Generic[S]):
    """The open streams of a process: `per_order` of one caller to one order, `per_caller`, and `most` in all.

    A newcomer beyond the first two limits takes the place of the caller's own oldest stream. When all places
    are taken, whoever has the most loses the oldest one, unless that would leave fewer than the newcomer has.
    """

    def __init__(self, *, per_order: int, per_caller: int, most: int) -> None:
        self._per_order = per_order
        self._per_caller = per_caller
        self._most = most
        self._held: dict[UUID, dict[S, None]] = {}  # by caller, the oldest first
        self._count = 0

    def __iter__(self) -> Iterator[S]:
        return (stream for held in self._held.values() for stream in held)

    def __len__(self) -> int:
        return self._count

    def admit(self, stream: S) -> S | None:
        """Give it a place. Returns the stream that has lost its own to it, if one had to. Raises Full."""
        displaced = self._to_displace(stream)
        if displaced is not None:
            self.discard(displaced)
        self._held.setdefault(stream.caller, {})[stream] = None
        self._count += 1
        return displaced

    def discard(self, stream: S) -> None:
        """Its place is free; nothing happens if it had none any more."""
        held = self._held.get(stream.caller, {})
        if stream in held:
            del held[stream]
            self._count -= 1
            if not held:
                del self._held[stream.caller]

    def _to_displace(self, stream: S) -> S | None:
        own = list(self._held.get(stream.caller, ()))
        of_this_order = [one for one in own if one.order_id == stream.order_id]
        if len(of_this_order) >= self._per_order:
            return of_this_order[0]
        if len(own) >= self._per_caller:
            return own[0]
        if self._count < self._most:
            return None
        greatest = max(self._held.values(), key=len)
        if len(greatest) > len(own) + 1:
            return next(iter(greatest))
        if own:
            return own[0]
        raise Full
