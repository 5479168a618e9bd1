"""Batcher what arrives together, so that it costs one commit."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

LULL = 3  # times the linger without a batch


class Batcher(Generic[T]):
    """A queue that is emptied in batches. What waits in it stays in it until a batch is taken."""

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
        """Wait for an item, give its neighbours `linger` seconds to arrive, and take at most `limit`.

        After a lull nobody is expected, and the first item is not kept waiting. After a start there may be a
        backlog, which is taken together.
        """
        await self._arrived.wait()
        if not self._is_lull(linger) and len(self._items) < limit:
            await asyncio.sleep(linger)
        self._last_batch = asyncio.get_running_loop().time()
        return self.take(limit)

    def _is_lull(self, linger: float) -> bool:
        if self._last_batch is None:
            return False
        return asyncio.get_running_loop().time() - self._last_batch >= LULL * linger
