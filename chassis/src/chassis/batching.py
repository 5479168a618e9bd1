"""Gathering what arrives together, so that it costs one commit."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """A queue that is emptied in batches. What waits in it stays in it until a batch is taken."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = asyncio.Event()

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
        """Wait for an item, give its neighbours `linger` seconds to arrive, and take at most `limit`."""
        await self._arrived.wait()
        if linger and len(self._items) < limit:
            await asyncio.sleep(linger)
        return self.take(limit)
