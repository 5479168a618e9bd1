import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts import CURRENCIES, Currency, ListedCurrency, format_amount, format_amount_with_code

ALL = st.sampled_from(list(CURRENCIES.values()))
listed = TypeAdapter(ListedCurrency)


def test_every_currency_has_the_decimals_of_iso_4217() -> None:
    exponents = {currency.code: currency.exponent for currency in iso4217.Currency}
    assert {code: one.decimals for code, one in CURRENCIES.items()} == {c: exponents[c] for c in CURRENCIES}


@given(ALL, st.integers(0, 99_999_999))
def test_an_amount_that_goes_to_the_provider_comes_back_the_same(currency: Currency, amount: int) -> None:
    amount -= amount % currency.step
    assert currency.from_provider(currency.to_provider(amount)) == amount


@given(ALL, st.integers(0, 99_999_999))
def test_an_amount_of_the_provider_converts_exactly_or_raises(currency: Currency, units: int) -> None:
    try:
        amount = currency.from_provider(units)
    except ValueError:
        return
    assert currency.to_provider(amount) == units


@given(ALL, st.integers(0, 10**10))
def test_a_chargeable_amount_has_at_most_eight_digits_at_the_provider(
    currency: Currency, amount: int
) -> None:
    if currency.can_be_charged(amount):
        assert currency.to_provider(amount) <= 99_999_999
    elif amount % currency.step:
        with pytest.raises(ValueError, match=currency.code):
            currency.to_provider(amount)
    else:
        assert currency.to_provider(amount) > 99_999_999


@given(ALL)
def test_minimum_and_maximum_can_be_charged(currency: Currency) -> None:
    assert 0 < currency.minimum < currency.maximum
    assert currency.can_be_charged(currency.minimum)
    assert currency.can_be_charged(currency.maximum)
    assert not currency.can_be_charged(currency.maximum + currency.step)


@pytest.mark.parametrize(
    ("code", "amount", "units"),
    [
        ("GBP", 1999, 1999),
        ("JPY", 500, 500),
        ("KWD", 5120, 5120),
        ("ISK", 5, 500),
        ("UGX", 5, 500),
        ("MGA", 500, 5),
        ("HUF", 1045, 1045),
        ("TWD", 80_045, 80_045),
    ],
)
def test_the_examples_of_the_providers_document(code: str, amount: int, units: int) -> None:
    assert CURRENCIES[code].to_provider(amount) == units
    assert CURRENCIES[code].from_provider(units) == amount


@pytest.mark.parametrize(("code", "amount"), [("KWD", 5124), ("BHD", 1), ("MGA", 150)])
def test_an_amount_that_the_provider_cannot_represent_is_not_rounded(code: str, amount: int) -> None:
    assert not CURRENCIES[code].can_be_charged(amount)
    with pytest.raises(ValueError, match="multiple of"):
        CURRENCIES[code].to_provider(amount)


@pytest.mark.parametrize(("code", "units"), [("ISK", 550), ("UGX", 1), ("KWD", 5124)])
def test_a_fraction_from_the_provider_is_not_rounded(code: str, units: int) -> None:
    with pytest.raises(ValueError, match="whole amount"):
        CURRENCIES[code].from_provider(units)


@pytest.mark.parametrize("code", ["XYZ", "gbp", "GB", "", "XAU", "XXX", "BTC", "BGN", "IQD"])
def test_the_list_is_closed(code: str) -> None:
    with pytest.raises(ValidationError, match="currency that can be charged"):
        listed.validate_python(code)


def test_the_list_is_in_the_schema() -> None:
    assert listed.json_schema()["enum"] == sorted(CURRENCIES)


@pytest.mark.parametrize(
    ("amount", "currency", "reads"),
    [
        (0, "GBP", "£0.00"),
        (5, "GBP", "£0.05"),
        (1999, "EUR", "€19.99"),
        (123_456_789, "USD", "$1,234,567.89"),
        (1999, "JPY", "JPY 1,999"),
        (1999, "ISK", "ISK 1,999"),
        (12_345, "KWD", "KWD 12.345"),
        (12_345, "IQD", "IQD 12.345"),
        (12_345, "CLF", "CLF 1.2345"),
        (1999, "CHF", "CHF 19.99"),
        (-250, "GBP", "-£2.50"),
        (9_007_199_254_740_993, "GBP", "£90,071,992,547,409.93"),
    ],
)
def test_amounts_are_formatted_with_the_decimals_of_their_currency(
    amount: int, currency: str, reads: str
) -> None:
    assert format_amount(amount, currency) == reads


def test_in_tables_the_code_comes_last() -> None:
    assert [format_amount_with_code(1000, code) for code in ("GBP", "JPY", "KWD")] == [
        "10.00 GBP",
        "1,000 JPY",
        "1.000 KWD",
    ]
