"""Which words are corrected, and into what; and that nobody has to wait for it."""

import asyncio

import pytest

from product.vocabulary import SLICE, correct, respell

WORDS = {"lantern": 3, "lanterns": 1, "white": 5, "red": 4, "heart": 9, "hart": 1, "chart": 2, "set": 8}


@pytest.mark.parametrize(
    ("q", "corrected"),
    [
        ("lantern", {}),
        ("LANTERN", {}),
        ("lantren", {"lantren": "lantern"}),
        ("lenturn", {"lenturn": "lantern"}),
        ("heartt", {"heartt": "heart"}),
        ("whte lantrn", {"whte": "white", "lantrn": "lantern"}),
        ('"whte lantern"', {"whte": "white"}),
        ("lxnxexn", {}),
        ("ret", {}),
        ("84029", {}),
    ],
)
async def test_only_near_misses_are_corrected(q: str, corrected: dict[str, str]) -> None:
    assert await correct(WORDS, q) == corrected


async def test_of_equally_near_words_the_commoner_is_chosen() -> None:
    assert await correct({"lamps": 1, "lampe": 2}, "lampx") == {"lampx": "lampe"}


async def test_an_empty_catalogue_corrects_nothing() -> None:
    assert await correct({}, "lantren") == {}


def test_quotes_and_operators_stay() -> None:
    assert respell('"Whte lantern" -red or HARTT', {"whte": "white", "hartt": "hart"}) == (
        '"white lantern" -red or hart'
    )


async def test_only_so_many_words_of_a_search_are_corrected() -> None:
    words = {"lantern": 1}
    wrong = [f"lanter{letter}" for letter in "abcdefgh"]
    assert len(await correct(words, " ".join(wrong))) == 5


async def test_others_get_a_turn_between_any_two_slices_of_the_vocabulary() -> None:
    words = {f"lantern{n:05}": 1 for n in range(20 * SLICE)}
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    assert await correct(words, "lanturn lxntern") == {}
    waiting.cancel()
    assert turns >= 2 * 20
