"""Which answers of the API are kept, and for how long."""

from typing import Any

import pytest

from storefront.answers import Answers

CONTENT: dict[str, Any] = {"items": []}


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def is_fresh(answers: Answers, url: str) -> bool:
    found = answers.find(url)
    return found is not None and answers.is_fresh(found)


def test_an_answer_is_fresh_as_long_as_the_api_says(clock: Clock) -> None:
    answers = Answers(clock=clock)
    answers.keep("/a", CONTENT, {"cache-control": "public, max-age=5"})
    clock.seconds = 4.9
    assert is_fresh(answers, "/a")
    clock.seconds = 5
    assert not is_fresh(answers, "/a")
    assert not is_fresh(answers, "/b")


def test_an_answer_with_an_etag_is_kept_to_be_asked_about(clock: Clock) -> None:
    answers = Answers(clock=clock)
    answers.keep("/a", CONTENT, {"cache-control": "no-cache", "etag": '"1"'})
    found = answers.find("/a")
    assert found is not None
    assert found.etag == '"1"'
    assert not answers.is_fresh(found)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cache-control": "max-age=5"},
        {"cache-control": "no-store"},
        {"cache-control": "private, max-age=5", "etag": '"1"'},
        {"cache-control": "public, no-store, max-age=5", "etag": '"1"'},
    ],
)
def test_what_is_not_for_everybody_is_not_kept_and_replaces_what_was(
    clock: Clock, headers: dict[str, str]
) -> None:
    answers = Answers(clock=clock)
    answers.keep("/a", CONTENT, {"cache-control": "public, max-age=5"})
    answers.keep("/a", CONTENT, headers)
    assert answers.find("/a") is None


def test_the_answer_that_was_not_used_for_the_longest_time_makes_room(clock: Clock) -> None:
    answers = Answers(most=2, clock=clock)
    for url in ("/a", "/b"):
        answers.keep(url, CONTENT, {"cache-control": "public, max-age=5"})
    answers.find("/a")
    answers.keep("/c", CONTENT, {"cache-control": "public, max-age=5"})
    assert [is_fresh(answers, url) for url in ("/a", "/b", "/c")] == [True, False, True]
