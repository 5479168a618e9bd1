"""Lists and searches wait for one another, so that what checkouts read always finds a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.problems import Unavailable


class Turns:
    """At most `at_once` may work; the others wait, for `patience` seconds."""

    def __init__(self, at_once: int, patience: float) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._patience = patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place. Raises Unavailable when none is free in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Too many searches at once.", retry_after=1) from None
        try:
            yield
        finally:
            self._places.release()
