"""What the shopper expects of a checkout: the total and the lines that the page showed. Nobody is charged
more."""

from typing import Annotated

from pydantic import AfterValidator, Field

from chassis.http.problems import Body, Conflict
from contracts import Line, Money, Sku
from contracts.currency import CurrencyCode
from order.pricing import Expected


class TotalChanged(Conflict):
    """409: the total is higher than expected, or the cart has other lines."""

    type = "/problems/total-changed"
    title = "The cart or its total has changed"

    @classmethod
    def to(cls, lines: tuple[Line, ...], total: Money) -> "TotalChanged":
        """With the current total and lines, so that the page can show them."""
        return cls(
            f"The total is {total.amount} minor units of {total.currency} now; `lines` has the cart's lines.",
            total=total.model_dump(),
            lines=[line.model_dump() for line in lines],
        )


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


def expected(total: ExpectedTotal | None, lines: list[ExpectedLine] | None) -> Expected:
    """The expectations in a checkout's body."""
    return Expected(
        None if total is None else Money(amount=total.amount, currency=total.currency),
        None if lines is None else {line.sku: line.quantity for line in lines},
    )
