"""An address is asked for as its country writes it."""

import pytest

from contracts import COUNTRIES, NEED_POSTCODE, PostalAddress
from storefront import locales
from storefront.address_form import PARTS, address_fields, labels
from storefront.address_formats import address_format

LANGUAGES = locales.languages()


def fields(country: str, **entered: str) -> list[tuple[str, bool]]:
    """The names of the lines that depend on the country, each with whether it is required."""
    found = address_fields(dict.fromkeys(PARTS, "") | {"country": country} | entered)
    return [(one.name, one.is_required) for one in found if one.name in ("postcode", "city", "state")]


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("GB", [("city", True), ("postcode", True)]),
        ("DE", [("postcode", True), ("city", True)]),
        ("US", [("city", True), ("state", True), ("postcode", True)]),
        ("JP", [("postcode", True), ("state", True), ("city", True)]),
        ("HK", [("state", True), ("city", True)]),
        ("IE", [("city", True), ("state", False), ("postcode", False)]),
        ("BO", [("city", True)]),
        ("??", [("city", True), ("state", False), ("postcode", False)]),
    ],
)
def test_lines_are_in_the_countrys_sequence(country: str, expected: list[tuple[str, bool]]) -> None:
    assert fields(country) == expected


def test_what_was_entered_for_another_country_is_not_lost() -> None:
    assert fields("GB", state="Texas") == [("city", True), ("postcode", True), ("state", False)]


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_the_form_requires_all_that_the_api_does(country: str) -> None:
    format_ = address_format(country)
    assert format_.required <= set(format_.lines)
    assert ("postcode" in format_.required) == (country in NEED_POSTCODE)
    filled = dict.fromkeys(("name", "street", *format_.required), "x")
    assert not PostalAddress(country=country, **filled).lacks_postcode


def test_every_part_that_the_api_takes_has_a_field() -> None:
    assert set(PARTS) == PostalAddress.model_fields.keys()


@pytest.mark.parametrize(
    ("language", "country", "names"),
    [
        ("en", "US", ["ZIP code", "Town or city", "State"]),
        ("en", "IN", ["PIN code", "Town or city", "State"]),
        ("en", "AU", ["Postcode", "Suburb", "State"]),
        ("de", "JP", ["Postleitzahl", "Ort", "Präfektur"]),
        ("en", "", ["Postcode", "Town or city", "State, province or county"]),
    ],
)
def test_lines_are_called_what_the_country_calls_them(language: str, country: str, names: list[str]) -> None:
    found = labels(LANGUAGES[language], country)
    assert [found[name] for name in ("postcode", "city", "state")] == names
