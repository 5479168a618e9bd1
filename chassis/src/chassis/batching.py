"""Gathering what arrives together, so that it costs one commit."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def next_batch(queue: asyncio.Queue[T], limit: int, linger: float) -> list[T]:
    """Wait for one item, give its neighbours `linger` seconds to arrive, and take at most `limit`."""
    batch = [await queue.get()]
    if linger and queue.qsize() < limit - 1:
        await asyncio.sleep(linger)
    while len(batch) < limit and not queue.empty():
        batch.append(queue.get_nowait())
    return batch
