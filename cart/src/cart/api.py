"""The endpoints of a shopper's own cart. It can be filled while the product service is down: checkout checks
again."""

from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Response

from cart.domain import MOST_PIECES
from cart.problems import CartMoved, NotForSale, SomeNotForSale, as_problems
from cart.products import Products
from cart.schemas import (
    AddResult,
    CartLines,
    PricedCart,
    PutResult,
    WantedLine,
    WantedLines,
    WantedQuantity,
    priced_cart,
    unpriced_cart,
)
from cart.store import Carts
from cart.versions import ExpectedVersions, etag
from chassis.errors import Unavailable
from chassis.http.idempotency import IdempotencyKey, IdempotencyKeys
from chassis.http.identity import Caller, Principal
from chassis.http.problems import NO_NUL, RESPONSES
from chassis.http.provided import Provided
from contracts import Sku

router = APIRouter(prefix="/v1/cart", tags=["cart"])

_JSON = "application/json"
_NOT_CHANGED: dict[int | str, dict[str, Any]] = {status: RESPONSES[status] for status in (409, 412)}
CartsPart = Provided[Carts]
ProductsPart = Provided[Products]
SkuInPath = Annotated[Sku, Path()]
# Earlier releases accepted any text as a sku: its owner must be able to remove it.
OldSkuInPath = Annotated[str, Path(min_length=1, max_length=32, pattern=NO_NUL)]


@router.get("", summary="Read the cart", response_model=PricedCart)
async def get_cart(caller: Caller, carts: CartsPart, products: ProductsPart) -> Response:
    """With current names, prices and availability, or without them while the product service is
    unavailable. A change takes the `ETag` as its `If-Match`."""
    cart = await carts.read(caller.id)
    try:
        document = priced_cart(cart, await products.read(list(cart.items)))
    except Unavailable as error:
        document = unpriced_cart(cart, str(error))
    return _with_etag(document)


@router.get("/lines", summary="Read the cart without product data", response_model=CartLines)
async def get_lines(caller: Caller, carts: CartsPart) -> Response:
    """Only products, quantities and the cart's ids: what a checkout reads."""
    cart = await carts.read(caller.id)
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(cart.items.items())]
    return _with_etag({"items": lines, "ids": cart.ids, "bought": cart.bought, "version": cart.version})


@router.put("", summary="Replace the cart", responses=_NOT_CHANGED)
async def replace_cart(
    wanted: WantedLines,
    caller: Caller,
    carts: CartsPart,
    products: ProductsPart,
    versions: ExpectedVersions,
) -> PutResult:
    """Replaces all lines at once."""
    items = wanted.quantities()
    stock = await products.stock(items)
    if refused := stock.not_for_sale(items):
        raise SomeNotForSale("Remove the listed products.", skus=refused)
    with as_problems():
        version = await carts.replace(caller.id, items, guest=_is_guest(caller), versions=versions)
    return PutResult.of(items, stock, version, lines=len(items))


@router.delete("", status_code=204, summary="Empty the cart", responses={412: RESPONSES[412]})
async def empty_cart(caller: Caller, carts: CartsPart, versions: ExpectedVersions) -> Response:
    """Removes all lines."""
    with suppress(CartMoved), as_problems():  # a moved cart is empty for its guest
        await carts.replace(caller.id, {}, guest=_is_guest(caller), versions=versions)
    return Response(status_code=204)


@router.post(
    "/items",
    summary="Add a product",
    response_model=AddResult,
    responses={404: RESPONSES[404], **_NOT_CHANGED},
)
async def add_item(
    wanted: WantedLine,
    key: IdempotencyKey,
    caller: Caller,
    carts: CartsPart,
    products: ProductsPart,
    keys: Provided[IdempotencyKeys],
    versions: ExpectedVersions,
) -> Response:
    """Adds pieces to those that are in the cart, of this product and others."""
    async with keys.claim(caller.id, key, wanted.model_dump_json().encode()) as claim:
        if claim.stored:
            return claim.stored.replay()
        # As if the cart could have any number of pieces already: a remembered number has to suffice for all.
        stock = await products.stock({wanted.sku: MOST_PIECES})
        if stock.not_for_sale([wanted.sku]):
            raise NotForSale("Unknown product, or not sold any more.")
        with as_problems():
            async with carts.add(
                caller.id, wanted.sku, wanted.quantity, guest=_is_guest(caller), versions=versions
            ) as (connection, added):
                total = {wanted.sku: added.quantity}
                result = AddResult.of(total, stock, added.version, quantity=added.quantity)
                content = result.model_dump_json().encode()
                await claim.settle(connection, 200, content, {"Content-Type": _JSON})
    return Response(content, media_type=_JSON)


@router.put("/items/{sku}", summary="Put a product", responses={404: RESPONSES[404], **_NOT_CHANGED})
async def put_item(
    sku: SkuInPath,
    wanted: WantedQuantity,
    caller: Caller,
    carts: CartsPart,
    products: ProductsPart,
    versions: ExpectedVersions,
) -> PutResult:
    """Sets the quantity, whatever it was before."""
    items = {sku: wanted.quantity}
    stock = await products.stock(items)
    if stock.not_for_sale(items):
        raise NotForSale("Unknown product, or not sold any more.")
    with as_problems():
        version = await carts.put(caller.id, sku, wanted.quantity, guest=_is_guest(caller), versions=versions)
    return PutResult.of(items, stock, version, lines=1)


@router.delete("/items/{sku}", status_code=204, summary="Remove a product", responses={412: RESPONSES[412]})
async def remove_item(
    sku: OldSkuInPath, caller: Caller, carts: CartsPart, versions: ExpectedVersions
) -> Response:
    """Idempotent: removing a product that is not in the cart has no effect."""
    with as_problems():
        await carts.remove(caller.id, sku, versions=versions)
    return Response(status_code=204)


def _is_guest(caller: Principal) -> bool:
    return caller.role == "guest"


def _with_etag(document: dict[str, Any]) -> Response:
    content = orjson.dumps(document, default=str)
    return Response(content, media_type=_JSON, headers={"ETag": etag(document["version"], content)})
