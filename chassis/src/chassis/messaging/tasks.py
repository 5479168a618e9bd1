"""What tasks need besides asyncio: batches of arrivals, pauses between retries, and cancellations that count
as failures.

When a connection breaks, a client library may cancel the tasks that wait for it. A task that ends this way
ends silently: neither an exception handler nor a task group treats a cancellation as a failure.
"""

import asyncio
import random
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_QUIET = 3  # after so many times the linger without a batch, arrivals count as rare


class Batcher(Generic[T]):
    """A queue whose items are taken in batches. A cancelled `batch` loses no item."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._last_batch = float("inf")  # the very first batch waits: there may be a backlog

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

        When items are rare, no others are to be expected, and the first one is taken at once.
        """
        loop = asyncio.get_running_loop()
        await self._arrived.wait()
        are_rare = loop.time() - self._last_batch >= _QUIET * linger
        if not are_rare and len(self._items) < limit:
            await asyncio.sleep(linger)
        self._last_batch = loop.time()
        return self.take(limit)


def pauses(first: float, longest: float) -> Iterator[float]:
    """The pauses between retries, without end: each up to twice as long as the one before, with jitter.

    `first`, `longest`: in seconds.
    """
    while True:
        yield first * random.uniform(0.5, 1)
        first = min(first * 2, longest)


def was_requested() -> bool:
    """Whether the current task was cancelled through `Task.cancel`, which timeouts use, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@contextmanager
def as_broken_connection() -> Iterator[None]:
    """Raise a cancellation by a client library as ConnectionError."""
    try:
        yield
    except asyncio.CancelledError as error:
        if was_requested():
            raise
        raise ConnectionError("the connection broke") from error


async def as_failure(work: Coroutine[Any, Any, None]) -> None:
    """Run a task's work. If a client library cancels it, raises RuntimeError, so that the task fails."""
    try:
        await work
    except asyncio.CancelledError as error:
        if was_requested():
            raise
        name = getattr(work, "__qualname__", "a task")
        raise RuntimeError(f"{name} was cancelled, but not by Task.cancel") from error
