"""The HTTP model of a checkout's request."""

from typing import Annotated

from pydantic import AfterValidator, Field

from chassis.http.problems import Body
from contracts import MailAddress, Money, PostalAddress, Sku
from contracts.currency import CurrencyCode
from order.pricing import Expected


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
    shipping: PostalAddress | None = None
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
            " the shop's origins. `{order_id}` in it is replaced by the order's id. Without it such a payment"
            " is declined.",
            examples=["https://shop.example/orders/{order_id}"],
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
_NEWER_PARTS = PostalAddress.model_fields.keys() - {"name", "street", "city", "postcode", "country"}
