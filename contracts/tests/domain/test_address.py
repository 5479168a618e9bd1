"""What an address has to have, so that an honest one is never refused."""

import pytest
from pydantic import ValidationError

from contracts import COUNTRIES, NEED_POSTCODE, PostalAddress

ADDRESS = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}
OPTIONAL = ("company", "line2", "state", "phone", "vat_id")


@pytest.mark.parametrize("country", ["GB", "US", "DE", "JP", "IN"])
@pytest.mark.parametrize("given", [{}, {"postcode": ""}, {"postcode": "  "}])
def test_an_address_lacks_a_postcode_where_its_country_needs_one(country: str, given: dict[str, str]) -> None:
    required = {"name": "Ada", "street": "1 Main St", "city": "Anytown", "country": country}
    assert PostalAddress(**required, **given).lacks_postcode
    assert not PostalAddress(**required, postcode="12345").lacks_postcode


@pytest.mark.parametrize("country", ["HK", "AE", "QA", "JM", "IE", "KE"])
def test_an_address_lacks_nothing_where_there_are_no_postcodes_or_mail_comes_without(country: str) -> None:
    address = PostalAddress(name="Ada", street="1 Main St", city="Anytown", country=country)
    assert not address.lacks_postcode
    assert address.postcode == ""


@pytest.mark.parametrize(
    "given",
    [
        {
            "name": "佐藤 花子",
            "street": "神南1-2-3",
            "city": "渋谷区",
            "state": "東京都",
            "postcode": "〒150-0041",
            "country": "JP",
        },
        {"name": "Seán Ó Briain", "street": "Kilmore Quay", "city": "Wexford", "country": "IE"},
        {
            "name": "ليلى حسن",
            "street": "شارع الشيخ زايد",
            "city": "دبي",
            "phone": "٠٤ ٥٥٥ ٠١٠٠",
            "country": "AE",
        },
        {
            "name": "Sgt. Lee",
            "street": "PSC 2 Box 4",
            "city": "APO",
            "state": "AE",
            "postcode": "09012",
            "country": "US",
        },
        {
            "name": "Ana",
            "street": "S/N",
            "city": "São Félix",
            "state": "TO",
            "postcode": "77.600-000",
            "country": "BR",
        },
        {
            "name": "M. d’Arc",
            "street": "Lieu-dit « La Pinède »",
            "city": "20000 Ajaccio",
            "postcode": "20000",
            "country": "FR",
        },
    ],
)
def test_an_honest_address_is_kept_as_it_is_written(given: dict[str, str]) -> None:
    address = PostalAddress(**given)
    assert not address.lacks_postcode
    assert address.model_dump() == {**dict.fromkeys(("postcode", *OPTIONAL), ""), **given}


def test_only_countries_need_a_postcode() -> None:
    assert NEED_POSTCODE < COUNTRIES
    assert len(NEED_POSTCODE) == 74


@pytest.mark.parametrize(
    "phone",
    [
        "+44 20 7946 0958",
        "(020) 7946-0958 ext. 12",
        "030/12 34 56-78",
        "514.555.0199x7",
        "\u0662\u0660\u0664\u0666 \u0660\u0669\u0665\u0668",
        "4002",
        "",
    ],
)
def test_a_phone_number_is_kept_as_people_write_it(phone: str) -> None:
    assert PostalAddress(**ADDRESS, phone=f" {phone} ").phone == phone


def test_a_phone_number_loses_the_marks_that_address_books_copy() -> None:
    assert PostalAddress(**ADDRESS, phone="\u202a+44 20 7946 0958\u202c").phone == "+44 20 7946 0958"


@pytest.mark.parametrize("phone", ["call me", "112", "+44 20 7946\n0958", "0" * 33])
def test_what_cannot_be_a_phone_number_is_refused(phone: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PostalAddress(**ADDRESS, phone=phone)
    assert [error["loc"] for error in refused.value.errors()] == [("phone",)]


@pytest.mark.parametrize("vat_id", ["GB123456789", "DE 123 456 789", "ATU12345678", "CHE-123.456.789 MWST"])
def test_a_vat_id_is_kept_as_it_is_given(vat_id: str) -> None:
    assert PostalAddress(**ADDRESS, vat_id=vat_id).vat_id == vat_id
