"""The HTTP model of a checkout's request."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from chassis.http.problems import Body
from contracts import MailAddress, Money, OneLine, Sku
from contracts.currency import CurrencyCode
from contracts.text import PATTERN as ONE_LINE
from order.pricing import Expected

Line80 = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=ONE_LINE), OneLine
]


def _valid_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("must be an ISO 3166-1 alpha-2 code, in upper case")
    return code


class ShipTo(Body):
    """Where to ship."""

    name: Line80
    street: Line80
    city: Line80
    postcode: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=ONE_LINE), OneLine
    ]
    country: Annotated[str, Field(examples=["GB"]), AfterValidator(_valid_country)]


class ExpectedTotal(Body):
    """The total that the page showed: 409 if it is higher now, or in another currency."""

    amount: Annotated[int, Field(ge=0, description="Minor units of the currency.")]
    currency: CurrencyCode


class ExpectedLine(Body):
    """A line of the cart that the page showed."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, description="Pieces.")]


def _each_once(lines: list[ExpectedLine]) -> list[ExpectedLine]:
    if len({line.sku for line in lines}) < len(lines):
        raise ValueError("each sku may occur only once")
    return lines


ExpectedLines = Annotated[
    list[ExpectedLine],
    Field(max_length=1000, description="The lines that the page showed: 409 if the cart has others."),
    AfterValidator(_each_once),
]


class PlaceOrder(Body):
    """How to pay for the cart, where to write and ship to, and what the shopper expects."""

    payment_method: Annotated[
        str | None,
        Field(
            pattern=r"^pm_[0-9_]*[A-Za-z][A-Za-z0-9_]*$",  # digits only would be a card number
            max_length=67,
            description="The payment provider's token, never a card number. Required unless it is free.",
            examples=["pm_card_visa"],
        ),
    ] = None
    email: Annotated[
        MailAddress | None,
        Field(description="Required for guests; the default is the account's address."),
    ] = None
    shipping: ShipTo | None = None
    expires_in: Annotated[
        int | None,
        Field(
            ge=1,
            description="Seconds until an unpaid order is cancelled, if less than the shop's limit.",
        ),
    ] = None
    expected_total: ExpectedTotal | None = None
    expected_lines: ExpectedLines | None = None
    return_url: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2000,
            description="Where the bank's page sends the shopper back to, if her bank asks to confirm: one of"
            " the shop's origins. Without it such a payment is declined.",
            examples=["https://shop.example/orders/return"],
        ),
    ] = None

    def expectations(self) -> Expected:
        """What the shopper expects."""
        total, lines = self.expected_total, self.expected_lines
        return Expected(
            None if total is None else Money(amount=total.amount, currency=total.currency),
            None if lines is None else {line.sku: line.quantity for line in lines},
        )

    def payload(self) -> bytes:
        """The bytes that an idempotency key is compared by. A newer field that is missing is left out, so
        that a repeat that reaches the previous release is the same request."""
        newer = type(self).model_fields.keys() - _ORIGINAL_FIELDS
        return self.model_dump_json(exclude={name for name in newer if getattr(self, name) is None}).encode()


_ORIGINAL_FIELDS = {"payment_method", "email", "shipping", "expires_in"}


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
