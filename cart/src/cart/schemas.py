"""The HTTP models of cart, and the JSON of a cart with prices."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from cart.domain import MOST_LINES, MOST_PIECES
from chassis.http.problems import Body
from contracts import Sku

Quantity = Annotated[int, Field(ge=1, le=MOST_PIECES, description="Pieces.")]
Degraded = Annotated[bool, Field(description="True if the product service is unavailable.")]
Reason = Annotated[str | None, Field(description="Why the response is degraded.")]


class WantedQuantity(Body):
    """How many pieces to have in the cart."""

    quantity: Quantity


class WantedLine(Body):
    """A product and its quantity."""

    sku: Sku
    quantity: Quantity


class WantedLines(Body):
    """The whole new content of the cart."""

    items: Annotated[list[WantedLine], Field(max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _each_once(self) -> "WantedLines":
        if len({line.sku for line in self.items}) < len(self.items):
            raise ValueError("each sku may occur only once")
        return self

    def quantities(self) -> dict[str, int]:
        return {line.sku: line.quantity for line in self.items}


class PutResult(BaseModel):
    """How many lines were put. If `degraded`, it was not checked whether they are for sale; checkout does."""

    lines: Annotated[int, Field(description="Number of lines that were put.")]
    degraded: Degraded
    reason: Reason


class CartLine(BaseModel):
    sku: Annotated[
        str, Field(description="Stock code, as it was put; an old cart may contain text that is not one.")
    ]
    quantity: Quantity


class CartLines(BaseModel):
    """The content of the cart, without product data."""

    items: Annotated[list[CartLine], Field(description="By sku.")]
    ids: Annotated[
        list[UUID],
        Field(
            description="Identify the cart when it is ordered: each id can have only one order, besides those"
            " in `bought`. They stay while the cart changes; once all of it is replaced, it has new ones."
        ),
    ]
    bought: Annotated[
        list[UUID], Field(description="Paid orders whose lines have been removed from the cart.")
    ]


class PricedLine(CartLine):
    """A line of the cart with product data, which is null while the product service is unavailable."""

    name: str | None
    price: Annotated[int | None, Field(description="Of one piece, in minor units of `currency`.")]
    currency: str | None
    total: Annotated[int | None, Field(description="`price` times `quantity`.")]
    available: Annotated[int | None, Field(description="Pieces that can be ordered now.")]
    status: Annotated[
        Literal["active", "retired", "unknown"] | None, Field(description="Only `active` can be ordered.")
    ]


class PricedCart(BaseModel):
    """The cart with current product data. Prices are binding only when an order is placed."""

    items: Annotated[list[PricedLine], Field(description="By sku.")]
    total: Annotated[
        int | None, Field(description="Of all lines with a price; null if degraded or in several currencies.")
    ]
    currency: Annotated[str | None, Field(description="The lines' currency; null if they have several.")]
    degraded: Degraded
    reason: Reason


_UNAVAILABLE: dict[str, Any] = dict.fromkeys(("name", "price", "currency", "total", "available", "status"))
_UNKNOWN = {**_UNAVAILABLE, "available": 0, "status": "unknown"}


def priced_cart(items: Mapping[str, int], products: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The cart with product data. Unknown products have no price and cannot be ordered."""
    lines = [_priced_line(sku, items[sku], products.get(sku)) for sku in sorted(items)]
    currencies = {line["currency"] for line in lines if line["currency"] is not None}
    currency = currencies.pop() if len(currencies) == 1 else None
    total = None if currencies else sum(line["total"] or 0 for line in lines)
    return {"items": lines, "total": total, "currency": currency, "degraded": False, "reason": None}


def unpriced_cart(items: Mapping[str, int], reason: str) -> dict[str, Any]:
    """The cart while the product service is unavailable."""
    lines = [{"sku": sku, "quantity": items[sku], **_UNAVAILABLE} for sku in sorted(items)]
    return {"items": lines, "total": None, "currency": None, "degraded": True, "reason": reason}


def _priced_line(sku: str, quantity: int, product: Mapping[str, Any] | None) -> dict[str, Any]:
    if product is None:
        return {"sku": sku, "quantity": quantity, **_UNKNOWN}
    data = {name: product[name] for name in ("name", "price", "currency", "available", "status")}
    return {"sku": sku, "quantity": quantity, **data, "total": product["price"] * quantity}
