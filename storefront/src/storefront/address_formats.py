"""How each country writes the lower part of an address: which lines there are, in which sequence, what they
are called, and which are needed.

Source: Google's address data, https://chromium-i18n.appspot.com/ssl-address, as of September 2024: `fmt`,
`require` with `S`, `zip_name_type`, `state_name_type` and `locality_name_type`. Where they have no line for
the town, which the API requires, it is put first. Which countries need a postcode is part of the API's
contract.
"""

from dataclasses import dataclass

from contracts import NEED_POSTCODE
from storefront.locales import Language

_LINES = {"C": "city", "S": "state", "Z": "postcode"}
_SEQUENCES = {
    "C": """
        AG AO AQ AW BF BI BJ BO BQ BV BW BZ CD CF CG CI CK CM CW DJ DM ER FJ GA GD GH GM GQ GY KM LC LY ML MO
        MR MS MW NU PS QA RW SB SL SS ST SX SY TD TF TG TK TL TO TT UG VU WS YE ZW""",
    "CZ": """
        AF AI BD BH BM BN BT FK GB GG GI GS GU HU IL IM IO JE JO KE KH LB LK LS MM MT MV NA NP NZ PK PN PR SA
        SD SG SH SZ TC VC VG ZA""",
    "ZC": """
        AD AL AT AX AZ BA BE BG BL CH CY CZ DE DK DO DZ EC EH ET FI FO FR GE GF GL GN GP GR GT GW HR HT IS KG
        KW LA LI LR LU MA MC MD ME MF MG MK MQ MU NC NE NL NO OM PL PM PT PY RE RS SE SI SJ SK SM SN TJ TM TN
        TZ VA WF YT ZM""",
    "CSZ": """
        AS AU BB BR CA CC CO CU CX EG FM HM HN ID IE IQ KY MH MN MP NF PW RU SO TH UA UM US VI VN""",
    "CS": "AE BS JM KN NR PA SC SR TV",
    "CZS": "IN NG PE PG PH VE",
    "SC": "HK KI",
    "SCZ": "CR IR KR LV",
    "ZCS": "AM AR BY CL CV EE ES IT LT MX MY MZ NI PF SV TR UY UZ",
    "ZSC": "CN JP KP KZ RO TW",
}
_NEED_STATE = """
    AE AS AU BR CA CN CO CR ES FM HK HN ID IN IQ IT JM JP KN KR KY MH MP MX NR PF PG PW RU SO SV TW UM
    US VE VI
"""
_POSTCODES = {"eircode": "IE", "pin": "IN", "zip": "AS FM GU MH MP PR PW UM US VI"}
_TOWNS = {"district": "HK PE SD SY TR TW", "suburb": "AU"}
_STATES = {
    "area": "HK",
    "county": "IE TW",
    "department": "CO HN NI",
    "district": "NR",
    "do_si": "KR",
    "emirate": "AE",
    "island": "BS CV KI KN KY PF SC TV",
    "oblast": "RU UA",
    "parish": "BB JM",
    "prefecture": "JP",
    "province": """
        AM AR BY CA CL CN CR CU EE EG ES ID IQ IR IT KP KZ LT LV MN MZ PA PG PH RO SO SR SV TH TR UY UZ VN""",
    "state": "AS AU BR FM IN MH MP MX MY NG PW UM US VE VI",
}


def _by_country(countries_of: dict[str, str]) -> dict[str, str]:
    return {country: one for one, countries in countries_of.items() for country in countries.split()}


_SEQUENCE = _by_country(_SEQUENCES)
_KIND_OF_POSTCODE, _KIND_OF_TOWN, _KIND_OF_STATE = map(_by_country, (_POSTCODES, _TOWNS, _STATES))


@dataclass(frozen=True)
class AddressFormat:
    """`lines` are `postcode`, `city` and `state`, as far as the country has them, in its sequence;
    `required` are those that an address needs."""

    lines: tuple[str, ...]
    required: frozenset[str]


def address_format(country: str) -> AddressFormat:
    """For an ISO 3166-1 alpha-2 code; for any other text the widest, which requires nothing but the town."""
    lines = tuple(_LINES[letter] for letter in _SEQUENCE.get(country, "CSZ"))
    required = {"city"}
    if country in NEED_POSTCODE:
        required.add("postcode")
    if country in _NEED_STATE.split():
        required.add("state")
    return AddressFormat(lines, frozenset(required))


def line_names(language: Language, country: str) -> dict[str, str]:
    """What the country calls its postcode, town and state, in the shopper's language."""
    _ = language._
    postcodes = {"eircode": _("Eircode"), "pin": _("PIN code"), "zip": _("ZIP code")}
    towns = {"district": _("District"), "suburb": _("Suburb")}
    return {
        "postcode": postcodes.get(_KIND_OF_POSTCODE.get(country, ""), _("Postcode")),
        "city": towns.get(_KIND_OF_TOWN.get(country, ""), _("Town or city")),
        "state": _states(language).get(_KIND_OF_STATE.get(country, ""), _("State, province or county")),
    }


def _states(language: Language) -> dict[str, str]:
    _ = language._
    return {
        "area": _("Area"),
        "county": _("County"),
        "department": _("Department"),
        "district": _("District"),
        "do_si": _("Province or metropolis (do/si)"),
        "emirate": _("Emirate"),
        "island": _("Island"),
        "oblast": _("Oblast or region"),
        "parish": _("Parish"),
        "prefecture": _("Prefecture"),
        "province": _("Province or region"),
        "state": _("State"),
    }
