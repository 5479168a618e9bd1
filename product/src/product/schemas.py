"""The HTTP models of product."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from chassis.http.problems import NO_NUL, Body
from contracts import CURRENCIES, ListedCurrency, OneLine, Sku, format_amount
from contracts.text import PATTERN as ONE_LINE
from product.domain import Status

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
Picture = Annotated[
    str,
    Field(
        max_length=300,
        pattern=r"^/[A-Za-z0-9._~-][A-Za-z0-9._~/-]*$",  # `//host` would be another origin
        description="An absolute path on the shop's own origin.",
        examples=["/pictures/lantern.svg"],
    ),
]
PictureAlt = Annotated[
    str,
    Field(
        max_length=200,
        pattern=ONE_LINE,
        description="What the picture shows, for those who cannot see it.",
        examples=["A red paper lantern"],
    ),
    OneLine,
]
Reason = Annotated[
    str, Field(min_length=1, max_length=200, pattern=NO_NUL, examples=["delivery 4711", "broken"])
]
SkuInPath = Annotated[Sku, Path()]
DEFAULT_CURRENCY = "GBP"
RESERVED_SKUS = {"facets", "suggestions"}  # `/v1/products/facets` is not a product


class ListedProduct(BaseModel):
    """A product in a list."""

    sku: Sku
    name: Name
    category: Category | None
    price: Price
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["GBP"])]
    status: Annotated[Status, Field(description="`retired`: not sold any more.")]
    available: Annotated[int, Field(ge=0, description="Pieces that can be ordered now.")]
    picture: Picture | None
    picture_alt: PictureAlt


class Product(ListedProduct):
    """A product with all its details."""

    description: Description
    created_at: datetime
    updated_at: datetime


def price_problem(price: int, code: str | None) -> str | None:
    """Why a price cannot be charged in a currency, or None; an unknown currency is reported by its own
    field."""
    currency = CURRENCIES.get(code or "")
    if currency is None or currency.can_be_charged(price):
        return None
    if price % currency.step:
        return (
            f"must be a multiple of {currency.step}: {currency.code} is charged in steps of "
            + format_amount(currency.step, currency.code)
        )
    return f"must not be more than {currency.maximum}: the maximum that can be charged in {currency.code}"


class NewProduct(Body):
    """A new product. The payment provider must be able to charge its price: in currencies with three decimals
    the last digit is 0."""

    sku: Sku
    name: Name
    description: Description = ""
    category: Category | None = None
    currency: ListedCurrency = DEFAULT_CURRENCY
    price: Price
    stock: Annotated[Pieces, Field(description="Opening stock; only used when the product is created.")] = 0
    picture: Picture | None = None
    picture_alt: PictureAlt = ""

    @field_validator("sku")
    @classmethod
    def _has_an_address(cls, sku: str) -> str:
        if sku in RESERVED_SKUS:
            raise ValueError(f"must not be {sku}: that is the address of something else")
        return sku

    @field_validator("price")
    @classmethod
    def _can_be_charged(cls, price: int, info: ValidationInfo) -> int:
        if problem := price_problem(price, info.data.get("currency")):
            raise ValueError(problem)
        return price


def _without_defaults(schema: dict[str, Any]) -> None:
    for shown in schema["properties"].values():
        if "default" in shown and shown["default"] is None:
            del shown["default"]


_UNSET: Any = None  # what is not given is not changed: there is no default
_WITHOUT_DEFAULTS = ConfigDict(json_schema_extra=_without_defaults)


class ProductToPut(NewProduct):
    """A product to create or change. Of an existing one, only the given fields are changed; `null` as the
    category or the picture removes it. The price has to be one that can be charged in the currency, also if
    that is not given."""

    model_config = _WITHOUT_DEFAULTS

    description: Description = _UNSET
    category: Category | None = _UNSET
    currency: ListedCurrency = _UNSET
    picture: Picture | None = _UNSET
    picture_alt: PictureAlt = _UNSET


class PutProducts(Body):
    """Products to create or change in one request."""

    items: Annotated[list[ProductToPut], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _each_once(self) -> "PutProducts":
        if len({item.sku for item in self.items}) < len(self.items):
            raise ValueError("each sku may occur only once")
        return self


class LoadedProducts(BaseModel):
    """How many products a bulk request created, changed and left unchanged."""

    created: int
    changed: int
    unchanged: int


class ProductChanges(Body):
    """Only the given fields are changed. `null` as the category or the picture removes it."""

    model_config = _WITHOUT_DEFAULTS

    name: Name = _UNSET
    description: Description = _UNSET
    category: Category | None = _UNSET
    price: Price = _UNSET
    status: Status = _UNSET
    picture: Picture | None = _UNSET
    picture_alt: PictureAlt = _UNSET


class NewAdjustment(Body):
    """A change of the stock that no order causes."""

    delta: Delta
    reason: Reason

    @model_validator(mode="after")
    def _not_zero(self) -> "NewAdjustment":
        if self.delta == 0:
            raise ValueError("delta must not be 0")
        return self


class StockLevel(BaseModel):
    """A product's pieces; `on_hand + reserved + sold = received`."""

    sku: Sku
    on_hand: Annotated[int, Field(description="Neither reserved nor sold.")]
    reserved: Annotated[int, Field(description="Reserved for orders that are not paid yet.")]
    sold: int
    received: Annotated[int, Field(description="The sum of all adjustments.")]


class Adjustment(BaseModel):
    """A recorded adjustment of the stock."""

    delta: Delta
    reason: Reason
    adjusted_by: Annotated[UUID, Field(description="The administrator.")]
    adjusted_at: datetime


class StockRecord(StockLevel):
    """A product's pieces and its latest adjustments."""

    adjustments: Annotated[list[Adjustment], Field(description="Newest first, at most 100.")]
