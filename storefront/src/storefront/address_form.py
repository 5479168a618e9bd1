"""The fields of the checkout: which there are, what is missing, and what the API is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

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


FIELDS = (
    Field("email", "email", 254, is_required=True, kind="email"),
    Field("name", "shipping name", 80, is_required=True),
    Field("company", "shipping organization", 80),
    Field("street", "shipping address-line1", 80, is_required=True),
    Field("line2", "shipping address-line2", 80),
    Field("postcode", "shipping postal-code", 16),
    Field("city", "shipping address-level2", 80, is_required=True),
    Field("state", "shipping address-level1", 80),
    Field("country", "shipping country", 2, is_required=True, kind="country"),
    Field("phone", "shipping tel", 32, kind="tel"),
    Field("vat_id", "off", 32),
)
# The sandbox's, which are Stripe's own test cards; the last one is the sandbox's alone.
CARDS = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_sandbox_captureThenTimeout",
)
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def labels(language: Language) -> dict[str, str]:
    """The fields' names, for people."""
    _ = language._
    return {
        "email": _("E-mail address"),
        "name": _("Full name"),
        "company": _("Company"),
        "street": _("Street and number"),
        "line2": _("Flat, floor or building"),
        "postcode": _("Postcode"),
        "city": _("Town or city"),
        "state": _("State, province or county"),
        "country": _("Country"),
        "phone": _("Phone, for the carrier"),
        "vat_id": _("VAT ID, for the receipt"),
        "card": _("Card"),
    }


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
        "state": _("Shorten this line."),
        "country": _("Choose a country."),
        "phone": _("Enter a phone number with at least four digits, or none."),
        "vat_id": _("Check the VAT ID, or leave it out."),
        "card": _("Choose a card."),
    }


def missing(entered: Mapping[str, str], *, is_free: bool) -> list[str]:
    """The fields that cannot be right, in the page's order."""
    found = [field.name for field in FIELDS if field.is_required and not entered[field.name]]
    if entered["email"] and not _MAIL.fullmatch(entered["email"]):
        found.insert(0, "email")
    if not is_free and entered["card"] not in CARDS:
        found.append("card")
    return found


def refused_fields(errors: list[Json]) -> list[str]:
    """The fields that a problem's `errors` point at, in the page's order."""
    last = {str(one.get("pointer", "")).rpartition("/")[2] for one in errors}
    found = [field.name for field in FIELDS if field.name in last]
    return found + (["card"] if "payment_method" in last else [])


def shipping(entered: Mapping[str, str]) -> Json:
    """The address, as the API takes it."""
    return {one.name: entered[one.name] for one in FIELDS if one.name != "email" and entered[one.name]}
