"""What is expensive to read is kept for some seconds by each process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The result of `read`, which is called again by a request that finds it older than `age` seconds.
    Requests meanwhile get the result before, if there is one, and otherwise wait."""

    def __init__(self, read: Callable[[], Awaitable[T]], *, age: float) -> None:
        self._read = read
        self._age = age
        self._read_at = float("-inf")
        self._result: T | None = None
        self._reading = asyncio.Lock()

    async def get(self) -> T:
        if self._result is not None and (self._reading.locked() or not self._is_old()):
            return self._result
        async with self._reading:
            if self._result is None or self._is_old():
                self._result = await self._read()
                self._read_at = time.monotonic()
            return self._result

    def _is_old(self) -> bool:
        return time.monotonic() - self._read_at > self._age
