"""Periodic jobs, such as deadlines and purges: each runs one round at a time, with jitter; no error ends
it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """Work that is repeated; a round that fails is logged, and the next one runs as usual.

    `every`: seconds between two rounds, give or take a fifth.
    `work`: one round.
    """

    name: str
    every: float
    work: Callable[[], Awaitable[None]]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.every * random.uniform(0.8, 1.2))
            try:
                await self.work()
            except Exception:
                log.exception("periodic work failed", name=self.name)
