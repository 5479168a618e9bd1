"""What product takes and gives over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from chassis.problems import NO_NUL, Body
from contracts import ListedCurrency, OneLine, Sku
from contracts.one_line import PATTERN as ONE_LINE
from product.domain import Status
from product.prices import objection

Name = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=ONE_LINE, examples=["White hanging heart T-light holder"]),
    OneLine,
]
Description = Annotated[str, Field(max_length=4000, pattern=NO_NUL)]
Category = Annotated[
    str, Field(min_length=1, max_length=60, pattern=ONE_LINE, examples=["lighting"]), OneLine
]
Price = Annotated[
    int,
    Field(
        ge=0,
        le=99_999_999,
        description="Minor units by ISO 4217: pence, cents, yen, fils. 0 is free.",
        examples=[295],
    ),
]
Pieces = Annotated[int, Field(ge=0, le=1_000_000)]
Delta = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Pieces in, or out if negative.")]
Reason = Annotated[
    str, Field(min_length=1, max_length=200, pattern=NO_NUL, examples=["delivery 4711", "broken"])
]


class ListedProduct(BaseModel):
    """A product as lists show it."""

    sku: Sku
    name: Name
    category: Category | None
    price: Price
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["GBP"])]
    status: Annotated[Status, Field(description="`retired`: not sold any more.")]
    available: Annotated[int, Field(ge=0, description="Pieces that can be ordered now.")]


class Product(ListedProduct):
    """A product with all that there is to know of it."""

    description: Description
    created_at: datetime
    updated_at: datetime


class ProductPage(BaseModel):
    """Some products, and where the next ones are."""

    items: list[ListedProduct]
    next: Annotated[str | None, Field(description="The next page's path and query; null on the last one.")]
    corrected: Annotated[
        dict[str, str],
        Field(description="Words of the search that nothing was found for, and what was sought instead."),
    ]


class NewProduct(Body):
    """A product to be sold. Its price has to be one that the payment provider can charge: of currencies with
    three decimals the last digit is 0."""

    sku: Sku
    name: Name
    description: Description = ""
    category: Category | None = None
    currency: ListedCurrency = "GBP"
    price: Price
    stock: Annotated[Pieces, Field(description="Opening stock; only ever set on a new product.")] = 0

    @field_validator("price")
    @classmethod
    def _can_be_charged(cls, price: int, info: ValidationInfo) -> int:
        if said := objection(price, info.data.get("currency")):
            raise ValueError(said)
        return price


class NewProducts(Body):
    """Products to be put in one go."""

    items: Annotated[list[NewProduct], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _each_once(self) -> "NewProducts":
        if len({item.sku for item in self.items}) < len(self.items):
            raise ValueError("a sku occurs twice")
        return self


class LoadedProducts(BaseModel):
    """What became of products that were put in one go."""

    created: int
    changed: int
    unchanged: int


def _left_alone(schema: dict[str, Any]) -> None:
    del schema["default"]


_UNSET: Any = Field(default=None, json_schema_extra=_left_alone)


class ProductChanges(Body):
    """What is given is changed, the rest is left alone. A category of null takes it away."""

    name: Name = _UNSET
    description: Description = _UNSET
    category: Category | None = _UNSET
    price: Price = _UNSET
    status: Status = _UNSET


class NewAdjustment(Body):
    """Pieces that came in or went out other than by an order."""

    delta: Delta
    reason: Reason

    @model_validator(mode="after")
    def _not_nothing(self) -> "NewAdjustment":
        if self.delta == 0:
            raise ValueError("a delta of 0 adjusts nothing")
        return self


class StockLevel(BaseModel):
    """A product's pieces; `on_hand + reserved + sold = received`."""

    sku: Sku
    on_hand: Annotated[int, Field(description="Neither reserved nor sold.")]
    reserved: Annotated[int, Field(description="Held for orders that are not paid yet.")]
    sold: int
    received: Annotated[int, Field(description="The sum of all adjustments.")]


class Adjustment(BaseModel):
    """An adjustment that was made."""

    delta: Delta
    reason: Reason
    adjusted_by: Annotated[UUID, Field(description="The administrator.")]
    adjusted_at: datetime


class StockRecord(StockLevel):
    """A product's pieces and the latest of what was adjusted by hand."""

    adjustments: Annotated[list[Adjustment], Field(description="Newest first, at most 100.")]
