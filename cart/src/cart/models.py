"""What cart takes and gives over HTTP."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from cart.domain import MOST_LINES, MOST_PIECES
from chassis.http.problems import Body
from contracts import Sku

Quantity = Annotated[int, Field(ge=1, le=MOST_PIECES, description="Pieces.")]
Degraded = Annotated[bool, Field(description="True while product does not answer.")]
Reason = Annotated[str | None, Field(description="Why the answer is degraded.")]


class WantedQuantity(Body):
    """How many pieces the cart is to hold."""

    quantity: Quantity


class WantedLine(Body):
    """A product and how many pieces of it."""

    sku: Sku
    quantity: Quantity


class WantedLines(Body):
    """All that the cart is to hold."""

    items: Annotated[list[WantedLine], Field(max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _each_once(self) -> "WantedLines":
        if len({line.sku for line in self.items}) < len(self.items):
            raise ValueError("a sku occurs twice")
        return self

    def quantities(self) -> dict[str, int]:
        return {line.sku: line.quantity for line in self.items}


class Put(BaseModel):
    """What was put. If degraded, nobody has looked whether it is for sale: checkout will."""

    lines: Annotated[int, Field(description="How many products were put.")]
    degraded: Degraded
    reason: Reason


class BareLine(BaseModel):
    sku: Annotated[str, Field(description="Stock code, as it was put; an old cart may hold what is none.")]
    quantity: Quantity


class BareLines(BaseModel):
    """What is in the cart, and nothing of what product knows."""

    items: Annotated[list[BareLine], Field(description="By sku.")]
    ids: Annotated[
        list[UUID],
        Field(
            description="What the cart counts as when it is ordered: there is one order of each, besides"
            " `bought`. They stay while the cart changes; others take their place once all of it is replaced."
        ),
    ]
    bought: Annotated[list[UUID], Field(description="Orders that were paid and are taken out of it.")]


class CartLine(BareLine):
    """A line of the cart; what product knows of it is null while product does not answer."""

    name: str | None
    price: Annotated[int | None, Field(description="Of one piece, in minor units of `currency`.")]
    currency: str | None
    total: Annotated[int | None, Field(description="`price` times `quantity`.")]
    available: Annotated[int | None, Field(description="Pieces that can be ordered now.")]
    status: Annotated[
        Literal["active", "retired", "unknown"] | None, Field(description="Only `active` can be ordered.")
    ]


class ShownCart(BaseModel):
    """The cart with what product says now. Prices are binding only when an order is placed."""

    items: Annotated[list[CartLine], Field(description="By sku.")]
    total: Annotated[int | None, Field(description="Of all priced lines; null if degraded or mixed.")]
    currency: Annotated[str | None, Field(description="The lines' currency; null if they have several.")]
    degraded: Degraded
    reason: Reason
