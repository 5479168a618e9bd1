import pytest

from ..conftest import Browser


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
        (";;,,<script>", "en"),
    ],
)
async def test_the_browsers_first_language_that_there_is(
    browser: Browser, accepted: str, language: str
) -> None:
    page = await browser.get("/", Accept_Language=accepted)
    assert f'<html lang="{language}">' in page.text


async def test_a_chosen_language_stays_and_money_follows_it(browser: Browser) -> None:
    await browser.get("/p/MUG-1", Accept_Language="en")
    answer = await browser.post("/language", language="de", here="/p/MUG-1")
    assert answer.headers["location"] == "/p/MUG-1"
    page = await browser.get("/p/MUG-1", Accept_Language="en")
    assert '<html lang="de">' in page.text
    assert "12,50\xa0£" in page.text
    assert "noch 3 da" in page.text


async def test_an_unknown_language_is_not_chosen(browser: Browser) -> None:
    await browser.get("/")
    answer = await browser.post("/language", language="xx\r\nSet-Cookie: a=b", here="/")
    assert "set-cookie" not in answer.headers or "lang=" not in answer.headers["set-cookie"]
