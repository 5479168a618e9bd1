"""The fields of an address: which there are, by country, what is missing, and what the API is sent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from storefront.address_formats import address_format, line_names
from storefront.api import Json
from storefront.locales import Language


@dataclass(frozen=True)
class Field:
    """An input. `autocomplete` is the HTML standard's name for what goes in; `most` are characters."""

    name: str
    autocomplete: str
    most: int
    is_required: bool = False
    kind: str = "text"


EMAIL = Field("email", "email", 254, is_required=True, kind="email")
_COUNTRY = Field("country", "shipping country", 2, is_required=True, kind="country")
_UPPER = (
    Field("name", "shipping name", 80, is_required=True),
    Field("company", "shipping organization", 80),
    Field("street", "shipping address-line1", 80, is_required=True),
    Field("line2", "shipping address-line2", 80),
)
_BY_COUNTRY = {
    "postcode": Field("postcode", "shipping postal-code", 16),
    "city": Field("city", "shipping address-level2", 80),
    "state": Field("state", "shipping address-level1", 80),
}
_LAST = (
    Field("phone", "shipping tel", 32, kind="tel"),
    Field("vat_id", "off", 32),
)
PARTS = tuple(field.name for field in (_COUNTRY, *_UPPER, *_BY_COUNTRY.values(), *_LAST))
"""The names of all parts of an address."""
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def address_fields(entered: Mapping[str, str]) -> list[Field]:
    """The fields for the country that was entered, which comes first. What the country does not have is
    left out, unless there is something in it."""
    format_ = address_format(entered["country"])
    left_over = [name for name in _BY_COUNTRY if name not in format_.lines and entered[name]]
    by_country = [
        replace(_BY_COUNTRY[name], is_required=name in format_.required)
        for name in (*format_.lines, *left_over)
    ]
    return [_COUNTRY, *_UPPER, *by_country, *_LAST]


def address_lines(language: Language, address: Mapping[str, str]) -> list[str]:
    """The address as on a parcel, in the sequence of its country."""
    lines = address_format(address["country"]).lines
    below = " ".join(address[name] for name in lines if address[name])
    above = [address[name] for name in ("name", "company", "street", "line2")]
    return [line for line in (*above, below, language.country(address["country"])) if line]


def address_line(language: Language, address: Mapping[str, str]) -> str:
    """The address on one line."""
    return ", ".join(address_lines(language, address))


def labels(language: Language, country: str) -> dict[str, str]:
    """The fields' names, for people, as the country calls them."""
    _ = language._
    return {
        "email": _("E-mail address"),
        "name": _("Full name"),
        "company": _("Company"),
        "street": _("Street and number"),
        "line2": _("Flat, floor or building"),
        "country": _("Country"),
        "phone": _("Phone, for the carrier"),
        "vat_id": _("VAT ID, for the receipt"),
    } | line_names(language, country)


def advice(language: Language) -> dict[str, str]:
    """What to do about a field that is not right."""
    _ = language._
    return {
        "email": _("Enter an e-mail address, such as name@example.com."),
        "name": _("Enter the name of who receives the parcel."),
        "company": _("Shorten the company's name."),
        "street": _("Enter the street and number."),
        "line2": _("Shorten this line."),
        "postcode": _("Enter the postcode: addresses in this country need one."),
        "city": _("Enter the town or city."),
        "state": _("Enter the state or province: addresses in this country need one."),
        "country": _("Choose a country."),
        "phone": _("Enter a phone number with at least four digits, or none."),
        "vat_id": _("Check the VAT ID, or leave it out."),
    }


def missing(entered: Mapping[str, str], fields: Sequence[Field]) -> list[str]:
    """The fields that cannot be right, in the page's order."""
    return [field.name for field in fields if not _is_filled(field, entered[field.name])]


def _is_filled(field: Field, text: str) -> bool:
    if field.kind == "email":
        return _MAIL.fullmatch(text) is not None
    return bool(text) or not field.is_required


def refused_fields(errors: list[Json], fields: Sequence[Field]) -> list[str]:
    """The fields that a problem's `errors` point at, in the page's order."""
    last = {str(one.get("pointer", "")).rpartition("/")[2] for one in errors}
    return [field.name for field in fields if field.name in last]


def postal_address(entered: Mapping[str, str]) -> Json:
    """The address, as the API takes it."""
    return {name: entered[name] for name in PARTS if entered[name]}
