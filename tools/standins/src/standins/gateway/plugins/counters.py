"""What rate-limiting asks of whatever counts for it, and the counting in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class CannotCount(Exception):
    """The counts could not be had in time."""


@dataclass(frozen=True, slots=True)
class Window:
    """One clock second, minute or hour."""

    name: str
    seconds: int
    limit: int

    def started(self, now: int) -> int:
        return now - now % self.seconds


class Counters(Protocol):
    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        """How many came from `client` before this request, in each window. Raises CannotCount."""
        ...

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        """The request that was just asked about goes through."""


class Here:
    """Counts what was admitted, in this process; a window's counts go when the next one starts."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, dict[str, int]]] = {}

    async def used(self, client: str, windows: Sequence[Window], now: int) -> list[int]:
        return [self._running(window, now).get(client, 0) for window in windows]

    def admitted(self, client: str, windows: Sequence[Window], now: int) -> None:
        for window in windows:
            counts = self._running(window, now)
            counts[client] = counts.get(client, 0) + 1

    def _running(self, window: Window, now: int) -> dict[str, int]:
        started, counts = self._counts.get(window.name, (-1, {}))
        if started != window.started(now):
            counts = {}
            self._counts[window.name] = window.started(now), counts
        return counts
