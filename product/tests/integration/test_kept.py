"""What is expensive to read is read seldom, and by one request at a time."""

import asyncio

import pytest

from product.kept import Kept


class Source:
    """Counts how often it is read; a read ends when `open` is set."""

    def __init__(self) -> None:
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()

    async def read(self) -> int:
        self.reads += 1
        reads = self.reads
        await self.open.wait()
        return reads


async def test_a_young_result_is_kept() -> None:
    kept = Kept(Source().read, age=60)
    assert [await kept.get(), await kept.get()] == [1, 1]


async def test_an_old_result_is_read_again() -> None:
    kept = Kept(Source().read, age=0)
    assert [await kept.get(), await kept.get()] == [1, 2]


async def test_the_first_requests_share_one_read() -> None:
    source = Source()
    kept = Kept(source.read, age=60)
    assert await asyncio.gather(*(kept.get() for _ in range(5))) == [1] * 5
    assert source.reads == 1


async def test_nobody_waits_while_another_request_reads_again() -> None:
    source = Source()
    kept = Kept(source.read, age=0)
    await kept.get()
    source.open.clear()
    reading = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    assert await asyncio.wait_for(kept.get(), 1) == 1
    source.open.set()
    assert await reading == 2


async def test_after_an_error_the_next_request_reads() -> None:
    failures = iter([True, False])

    async def read() -> int:
        if next(failures):
            raise ConnectionError
        return 7

    kept = Kept(read, age=60)
    with pytest.raises(ConnectionError):
        await kept.get()
    assert await kept.get() == 7
