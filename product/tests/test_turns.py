"""Whoever searches waits for others who do."""

import asyncio

import pytest

from chassis.problems import Unavailable
from product.turns import Turns


async def test_who_finds_no_place_in_time_is_turned_away_and_places_are_free_again() -> None:
    turns = Turns(at_once=2, patience=0.02)
    async with turns.turn(), turns.turn():
        with pytest.raises(Unavailable, match="Too many searches"):
            async with turns.turn():
                pass
    async with turns.turn(), turns.turn():
        pass


async def test_who_waits_gets_the_next_place() -> None:
    turns = Turns(at_once=1, patience=10)
    done: list[int] = []

    async def work(n: int) -> None:
        async with turns.turn():
            await asyncio.sleep(0)
            done.append(n)

    await asyncio.gather(*(work(n) for n in range(5)))
    assert done == [0, 1, 2, 3, 4]


async def test_a_place_is_free_again_after_an_error() -> None:
    turns = Turns(at_once=1, patience=0.02)
    with pytest.raises(KeyError):
        async with turns.turn():
            raise KeyError
    async with turns.turn():
        pass
