"""Work that comes round: sweeps and purges, one at a time, jittered, never fatal."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """Runs `work` about every `every` seconds; a round that fails is logged and comes round again."""

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
