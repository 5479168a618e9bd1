"""Collects items that arrive close together into one batch, so that they share a commit."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

_QUIET = 3  # after so many times the linger without a batch, arrivals count as rare


class Batcher(Generic[T]):
    """A queue whose items are taken in batches. A cancelled `batch` loses no item."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._last_batch: float | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Iterable[T]) -> None:
        self._items.extend(items)
        if self._items:
            self._arrived.set()

    def take(self, limit: int) -> list[T]:
        """At most `limit` items, the oldest first, without waiting."""
        batch = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        if not self._items:
            self._arrived.clear()
        return batch

    async def batch(self, limit: int, linger: float) -> list[T]:
        """Wait for a first item and then `linger` seconds for others; take at most `limit`, the oldest first.

        When items are rare, no others are to be expected, and the first one is taken at once. The very first
        batch waits in any case: there may be a backlog.
        """
        await self._arrived.wait()
        if not self._is_quiet(linger) and len(self._items) < limit:
            await asyncio.sleep(linger)
        self._last_batch = asyncio.get_running_loop().time()
        return self.take(limit)

    def _is_quiet(self, linger: float) -> bool:
        if self._last_batch is None:
            return False
        return asyncio.get_running_loop().time() - self._last_batch >= _QUIET * linger
