"""Dates and names of each language, as its readers write them."""

import pytest

from storefront.locales import languages


@pytest.mark.parametrize(
    ("code", "name", "moment"),
    [("en", "English", "1 Nov 2026, 09:05:00"), ("de", "Deutsch", "01.11.2026, 09:05:00")],
)
def test_a_moment_is_written_as_in_the_languages_country(code: str, name: str, moment: str) -> None:
    language = languages()[code]
    assert (language.code, language.name) == (code, name)
    assert language.moment("2026-11-01T09:05:00Z") == moment
