"""The HTTP models of cart, and the JSON of a cart with prices."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from cart.domain import MOST_LINES, MOST_PIECES, Cart
from cart.products import Stock
from chassis.http.problems import Body
from contracts import CURRENCIES, ShortLine, Sku

Quantity = Annotated[int, Field(ge=1, le=MOST_PIECES, description="Pieces.")]
Degraded = Annotated[bool, Field(description="True if the product service is unavailable.")]
Reason = Annotated[str | None, Field(description="Why the response is degraded.")]
Version = Annotated[
    int, Field(description="Counts the cart's changes, for `If-Match`. 0 before the first.", examples=[7])
]
Problem = Literal["unknown", "retired", "not_chargeable", "short"]


class WantedQuantity(Body):
    """How many pieces to have in the cart."""

    quantity: Quantity


class WantedLine(Body):
    """A product and how many pieces of it to have in the cart, or to add."""

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


class ChangedCart(BaseModel):
    """What became of a change. A cart reserves nothing, so a shortage is reported and the change accepted:
    there may be more by the time of the checkout. If `degraded`, it was not checked whether the products are
    for sale and how many there are; checkout does."""

    version: Version
    short: Annotated[
        list[ShortLine],
        Field(description="Products of which fewer pieces are available now than are in the cart."),
    ]
    degraded: Degraded
    reason: Reason

    @classmethod
    def of(cls, wanted: Mapping[str, int], stock: Stock, version: int, **own: int) -> Self:
        return cls(
            version=version,
            short=stock.short(wanted),
            degraded=stock.reason is not None,
            reason=stock.reason,
            **own,
        )


class PutResult(ChangedCart):
    """`lines` are in the cart with the given quantities."""

    lines: Annotated[int, Field(description="Number of lines that were put.")]


class AddResult(ChangedCart):
    """The pieces were added."""

    quantity: Annotated[int, Field(description="Pieces of the product that are in the cart now.")]


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
    version: Version


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
    problem: Annotated[
        Problem | None,
        Field(
            description="Why the line cannot be ordered now, and is not in the cart's total: it is not for"
            " sale, its price cannot be charged, or fewer pieces are available than wanted (`short`). An"
            " order with a short line waits if other orders may release enough, and is otherwise cancelled."
        ),
    ]


class PricedCart(BaseModel):
    """The cart with current product data. Prices are binding only when an order is placed."""

    items: Annotated[list[PricedLine], Field(description="By sku.")]
    total: Annotated[
        int | None,
        Field(description="Of the lines that can be ordered; null if degraded or in several currencies."),
    ]
    currency: Annotated[str | None, Field(description="Of the total; null if there are none or several.")]
    version: Version
    degraded: Degraded
    reason: Reason


_NO_DATA: dict[str, Any] = dict.fromkeys(
    ("name", "price", "currency", "total", "available", "status", "problem")
)
_UNKNOWN = {**_NO_DATA, "available": 0, "status": "unknown", "problem": "unknown"}


def priced_cart(cart: Cart, products: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The cart with product data."""
    lines = [_priced_line(sku, cart.items[sku], products.get(sku)) for sku in sorted(cart.items)]
    orderable = [line for line in lines if line["problem"] is None]
    currencies = {line["currency"] for line in orderable}
    currency = currencies.pop() if len(currencies) == 1 else None
    total = None if currencies else sum(line["total"] for line in orderable)
    priced = {"items": lines, "total": total, "currency": currency, "version": cart.version}
    return {**priced, "degraded": False, "reason": None}


def unpriced_cart(cart: Cart, reason: str) -> dict[str, Any]:
    """The cart while the product service is unavailable."""
    lines = [{"sku": sku, "quantity": cart.items[sku], **_NO_DATA} for sku in sorted(cart.items)]
    unpriced = {"items": lines, "total": None, "currency": None, "version": cart.version}
    return {**unpriced, "degraded": True, "reason": reason}


def _priced_line(sku: str, quantity: int, product: Mapping[str, Any] | None) -> dict[str, Any]:
    if product is None:
        return {"sku": sku, "quantity": quantity, **_UNKNOWN}
    data = {name: product[name] for name in ("name", "price", "currency", "available", "status")}
    total, problem = product["price"] * quantity, _problem(quantity, product)
    return {"sku": sku, "quantity": quantity, **data, "total": total, "problem": problem}


def _problem(quantity: int, product: Mapping[str, Any]) -> Problem | None:
    """Why a checkout would refuse the line, or None."""
    if product["status"] != "active":
        return "retired"
    currency = CURRENCIES.get(product["currency"])
    if currency is None or product["price"] % currency.step:
        return "not_chargeable"
    return "short" if quantity > product["available"] else None
