"""Which words are corrected, and into what."""

import pytest

from product.search import correct, respell

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
def test_only_near_misses_are_corrected(q: str, corrected: dict[str, str]) -> None:
    assert correct(WORDS, q) == corrected


def test_of_equally_near_words_the_commoner_is_chosen() -> None:
    assert correct({"lamps": 1, "lampe": 2}, "lampx") == {"lampx": "lampe"}


def test_an_empty_catalogue_corrects_nothing() -> None:
    assert correct({}, "lantren") == {}


def test_quotes_and_operators_stay() -> None:
    assert respell('"Whte lantern" -red or HARTT', {"whte": "white", "hartt": "hart"}) == (
        '"white lantern" -red or hart'
    )


def test_only_so_many_words_of_a_search_are_corrected() -> None:
    words = {"lantern": 1}
    wrong = [f"lanter{letter}" for letter in "abcdefgh"]
    assert len(correct(words, " ".join(wrong))) == 5
