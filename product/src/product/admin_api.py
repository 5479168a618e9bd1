"""The administrators' endpoints: create, change and retire products, and adjust their stock."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.http.identity import Principal, require
from chassis.http.problems import RESPONSES, Conflict, NotFound, Unprocessable
from chassis.http.provided import Provided
from chassis.storage.database import Transactions
from contracts import CURRENCIES
from product import store
from product.api import JSON, UNKNOWN
from product.catalogue import Catalogue
from product.domain import BelowZero, Stock
from product.schemas import (
    LoadedProducts,
    NewAdjustment,
    NewProduct,
    Product,
    ProductChanges,
    PutProducts,
    SkuInPath,
    StockLevel,
    StockRecord,
    price_problem,
)
from product.waiting import serve_waiting

router = APIRouter(prefix="/v1/products", tags=["administration"])

Admin = Annotated[Principal, Depends(require("catalogue:write"))]
Transact = Provided[Transactions]
Reads = Provided[Catalogue]


class Exists(Conflict):
    """409: a product with that sku exists."""

    type = "/problems/product-exists"
    title = "The product exists"


class NotOnHand(Conflict):
    """409: more pieces would be written off than are on hand."""

    type = "/problems/not-on-hand"
    title = "Not that many on hand"


@router.post(
    "",
    status_code=201,
    summary="Create a product",
    response_model=Product,
    responses={409: RESPONSES[409]},
)
async def create_product(new: NewProduct, admin: Admin, transact: Transact, catalogue: Reads) -> Response:
    """The opening stock is recorded as its first adjustment."""
    async with transact() as tx:
        created = await store.create(tx.session, [new.model_dump()], admin.id)
    if not created:
        raise Exists("Change it with PATCH.")
    headers = {"Location": f"/v1/products/{new.sku}"}
    return Response(await catalogue.one(new.sku), status_code=201, media_type=JSON, headers=headers)


@router.post("/bulk", summary="Create or change up to 1,000 products")
async def put_products(new: PutProducts, admin: Admin, transact: Transact) -> LoadedProducts:
    """Idempotent. Of existing products, the given fields are changed, but never stock and status; products
    that are not listed stay as they are."""
    items = {item.sku: item.model_dump(exclude_unset=True) for item in new.items}
    async with transact() as tx:
        created = await store.create(tx.session, [*items.values()], admin.id)
        existing = [item for sku, item in items.items() if sku not in created]
        changed = await store.change_listed(tx.session, existing)
        prices = created | changed
        _check_prices({f"/items/{n}/price": prices[sku] for n, sku in enumerate(items) if sku in prices})
    unchanged = len(existing) - len(changed)
    return LoadedProducts(created=len(created), changed=len(changed), unchanged=unchanged)


@router.patch("/{sku}", summary="Change a product", response_model=Product, responses={404: RESPONSES[404]})
async def change_product(
    sku: SkuInPath, changes: ProductChanges, _: Admin, transact: Transact, catalogue: Reads
) -> Response:
    """Existing orders keep the name and price at which they were placed."""
    async with transact() as tx:
        currency = await store.change(tx.session, sku, changes.model_dump(exclude_unset=True))
        if currency is None:
            raise NotFound(UNKNOWN)
        if "price" in changes.model_fields_set:
            _check_prices({"/price": (changes.price, currency)})
    return Response(await catalogue.one(sku), media_type=JSON)


@router.delete("/{sku}", status_code=204, summary="Retire a product", responses={404: RESPONSES[404]})
async def retire_product(sku: SkuInPath, _: Admin, transact: Transact) -> Response:
    """It is not sold any more. Orders that have reserved pieces continue; orders that wait for pieces are
    rejected as out of stock. To sell it again, PATCH its status."""
    async with transact() as tx:
        if not await store.change(tx.session, sku, {"status": "retired"}):
            raise NotFound(UNKNOWN)
        await serve_waiting((await tx.get_many(Stock, [sku])).values(), tx)
    return Response(status_code=204)


@router.post("/{sku}/stock", summary="Adjust the stock", responses={404: RESPONSES[404], 409: RESPONSES[409]})
async def adjust_stock(sku: SkuInPath, new: NewAdjustment, admin: Admin, transact: Transact) -> StockLevel:
    """Only pieces that are on hand can be written off. New pieces go to waiting orders first."""
    async with transact() as tx:
        stock = await tx.get(Stock, sku)
        if stock is None:
            raise NotFound(UNKNOWN)
        try:
            stock.adjust(new.delta)
        except BelowZero:
            raise NotOnHand(f"Only {stock.on_hand} on hand.", on_hand=stock.on_hand) from None
        await serve_waiting([stock], tx)
        await store.note_adjustment(tx.session, sku, new.delta, new.reason, admin.id)
    return StockLevel.model_validate(stock, from_attributes=True)


@router.get("/{sku}/stock", summary="Read the stock", responses={404: RESPONSES[404]})
async def get_stock(sku: SkuInPath, _: Admin, engine: Provided[AsyncEngine]) -> StockRecord:
    """How many pieces are on hand, reserved and sold, and the latest adjustments."""
    record = await store.stock_record(engine, sku)
    if record is None:
        raise NotFound(UNKNOWN)
    return StockRecord.model_validate(record)


def _check_prices(prices: Mapping[str, tuple[int, str]]) -> None:
    """Prices and currencies by where the request has the price. Raises Unprocessable, which rolls the change
    back."""
    problems = {pointer: _price_problem(*price) for pointer, price in prices.items()}
    errors = [{"pointer": pointer, "detail": problem} for pointer, problem in problems.items() if problem]
    if errors:
        raise Unprocessable("The request is not valid.", errors=errors)


def _price_problem(price: int, currency: str) -> str | None:
    if currency not in CURRENCIES:
        return f"{currency} cannot be charged any more: replace the product with one in another currency"
    return price_problem(price, currency)
