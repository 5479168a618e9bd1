"""The HTTP model of a checkout's request."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from chassis.http.problems import Body
from contracts import MailAddress, Money, OneLine, Sku
from contracts.currency import CurrencyCode
from contracts.text import PATTERN as ONE_LINE
from contracts.text import Cleaned
from order.countries import COUNTRIES, NEED_POSTCODE
from order.pricing import Expected


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


class ShipTo(Body):
    """Where to ship. A part that is missing is the same as an empty one."""

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
        """The bytes that an idempotency key is compared by. Newer fields that are missing are left out, so
        that a repeat that reaches the previous release is the same request."""
        missing = {name for name in _NEWER_FIELDS if getattr(self, name) is None}
        parts = {name for name in _NEWER_PARTS if self.shipping and not getattr(self.shipping, name)}
        return self.model_dump_json(exclude={**dict.fromkeys(missing, True), "shipping": parts}).encode()


_NEWER_FIELDS = PlaceOrder.model_fields.keys() - {"payment_method", "email", "shipping", "expires_in"}
_NEWER_PARTS = ShipTo.model_fields.keys() - {"name", "street", "city", "postcode", "country"}
