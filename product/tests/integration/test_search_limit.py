"""Searches wait for one another, for a while."""

import asyncio

import pytest

from chassis.errors import Unavailable
from product.search import SearchLimit


async def test_a_search_that_gets_no_slot_in_time_is_rejected_and_slots_are_freed() -> None:
    limit = SearchLimit(at_once=2, timeout=0.02)
    async with limit.slot(), limit.slot():
        with pytest.raises(Unavailable, match="Too many searches"):
            async with limit.slot():
                pass
    async with limit.slot(), limit.slot():
        pass


async def test_waiting_searches_get_free_slots_in_turn() -> None:
    limit = SearchLimit(at_once=1, timeout=10)
    done: list[int] = []

    async def work(n: int) -> None:
        async with limit.slot():
            await asyncio.sleep(0)
            done.append(n)

    await asyncio.gather(*(work(n) for n in range(5)))
    assert done == [0, 1, 2, 3, 4]


async def test_a_slot_is_freed_after_an_error() -> None:
    limit = SearchLimit(at_once=1, timeout=0.02)
    with pytest.raises(KeyError):
        async with limit.slot():
            raise KeyError
    async with limit.slot():
        pass
