import asyncio

from chassis.messaging.tasks import Batcher


async def test_a_rare_item_is_taken_at_once() -> None:
    gathering: Batcher[int] = Batcher()
    gathering.put([1])
    await gathering.batch(10, linger=0)
    await asyncio.sleep(0.04)
    gathering.put([2])
    batch = asyncio.create_task(gathering.batch(10, linger=0.01))
    await asyncio.sleep(0)
    gathering.put([3])
    assert await batch == [2]


async def test_after_a_start_a_backlog_is_taken_together() -> None:
    gathering: Batcher[int] = Batcher()
    gathering.put([1])
    batch = asyncio.create_task(gathering.batch(10, linger=0.01))
    await asyncio.sleep(0)
    gathering.put([2])
    assert await batch == [1, 2]


async def test_items_that_follow_within_the_linger_share_the_batch() -> None:
    gathering: Batcher[int] = Batcher()
    gathering.put([1])
    await gathering.batch(10, linger=0)
    gathering.put([2])
    batch = asyncio.create_task(gathering.batch(10, linger=0.05))
    await asyncio.sleep(0)
    gathering.put([3])
    assert await batch == [2, 3]


async def test_a_batch_has_its_limit() -> None:
    gathering: Batcher[int] = Batcher()
    gathering.put([1, 2, 3])
    assert await gathering.batch(2, linger=0) == [1, 2]
    assert await gathering.batch(2, linger=0) == [3]


async def test_a_cancelled_batch_loses_no_item() -> None:
    gathering: Batcher[int] = Batcher()
    gathering.put([2])
    waiting = asyncio.create_task(gathering.batch(10, linger=60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert gathering.take(10) == [2]
