"""What the shopper has seen of a cart, as the page says it: nobody is charged more than that."""

from typing import Annotated

from pydantic import AfterValidator, Field

from chassis.http.problems import Body, Conflict
from contracts import Line, Money, Sku
from contracts.money import CurrencyCode
from order.pricing import Expected


class NotAsSeen(Conflict):
    """409: the cart comes to more than the shopper has seen, or holds something else."""

    type = "/problems/total-changed"
    title = "The cart or its total has changed"

    @classmethod
    def now(cls, lines: tuple[Line, ...], total: Money) -> "NotAsSeen":
        """The refusal that tells what there is now, so that the page can show it."""
        return cls(
            f"It comes to {total.amount} minor units of {total.currency} now, and holds what `lines` says.",
            total=total.model_dump(),
            lines=[line.model_dump() for line in lines],
        )


class SeenTotal(Body):
    """The total that the page has shown: 409 if it has risen since, or is of another currency."""

    amount: Annotated[int, Field(ge=0, description="Minor units of the currency.")]
    currency: CurrencyCode


class SeenLine(Body):
    """A product that the page has shown in the cart."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, description="Pieces.")]


def _each_once(lines: list[SeenLine]) -> list[SeenLine]:
    if len({line.sku for line in lines}) < len(lines):
        raise ValueError("a sku occurs twice")
    return lines


SeenLines = Annotated[
    list[SeenLine],
    Field(max_length=1000, description="What the page has shown: 409 if the cart holds something else."),
    AfterValidator(_each_once),
]


def expected(total: SeenTotal | None, lines: list[SeenLine] | None) -> Expected:
    """What a checkout's body says of it."""
    return Expected(
        None if total is None else Money(amount=total.amount, currency=total.currency),
        None if lines is None else {line.sku: line.quantity for line in lines},
    )
