"""The endpoints of a shopper's own cart. It can be filled while the product service is down: checkout checks
again."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Response

from cart.domain import MOST_LINES, Full, Merged
from cart.products import Products
from cart.schemas import (
    CartLines,
    PricedCart,
    PutResult,
    WantedLines,
    WantedQuantity,
    priced_cart,
    unpriced_cart,
)
from cart.store import Carts
from chassis.errors import Unavailable
from chassis.http.identity import Caller, Principal
from chassis.http.problems import NO_NUL, RESPONSES, Conflict, NotFound, Unprocessable
from chassis.http.provided import Provided
from contracts import Sku

router = APIRouter(prefix="/v1/cart", tags=["cart"])

_JSON = "application/json"
CartsPart = Provided[Carts]
ProductsPart = Provided[Products]
SkuInPath = Annotated[Sku, Path()]
# Earlier releases accepted any text as a sku: its owner must be able to remove it.
OldSkuInPath = Annotated[str, Path(min_length=1, max_length=32, pattern=NO_NUL)]


class NotForSale(NotFound):
    """404: no such product, or retired."""

    type = "/problems/not-for-sale"
    title = "Not for sale"


class SomeNotForSale(Unprocessable):
    """422: some of the products do not exist or are retired; `skus` names them."""

    type = "/problems/not-for-sale"
    title = "Not for sale"


class CartFull(Conflict):
    """409: the cart has the maximum number of lines."""

    type = "/problems/cart-full"
    title = "The cart is full"


class CartMoved(Conflict):
    """409: the guest has logged in, and the cart was moved to the account."""

    type = "/problems/cart-moved"
    title = "The cart has moved to an account"


@router.get("", summary="Read the cart", response_model=PricedCart)
async def get_cart(caller: Caller, carts: CartsPart, products: ProductsPart) -> Response:
    """With current names, prices and availability, or without them while the product service is
    unavailable."""
    items = (await carts.read(caller.id)).items
    try:
        document = priced_cart(items, await products.read(list(items)))
    except Unavailable as error:
        document = unpriced_cart(items, str(error))
    return Response(orjson.dumps(document), media_type=_JSON)


@router.get("/lines", summary="Read the cart without product data", response_model=CartLines)
async def get_lines(caller: Caller, carts: CartsPart) -> Response:
    """Only products, quantities and the cart's ids: what a checkout reads."""
    cart = await carts.read(caller.id)
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(cart.items.items())]
    document = {"items": lines, "ids": cart.ids, "bought": cart.bought}
    return Response(orjson.dumps(document, default=str), media_type=_JSON)


@router.put("", summary="Replace the cart", responses={409: RESPONSES[409]})
async def replace_cart(
    wanted: WantedLines, caller: Caller, carts: CartsPart, products: ProductsPart
) -> PutResult:
    """Replaces all lines at once."""
    items = wanted.quantities()
    refused, reason = await _not_for_sale(products, list(items))
    if refused:
        raise SomeNotForSale("Remove the listed products.", skus=refused)
    try:
        await carts.replace(caller.id, items, guest=_is_guest(caller))
    except Merged:
        raise CartMoved("Use the account's token.") from None
    return PutResult(lines=len(items), degraded=reason is not None, reason=reason)


@router.delete("", status_code=204, summary="Empty the cart")
async def empty_cart(caller: Caller, carts: CartsPart) -> Response:
    """Removes all lines."""
    with suppress(Merged):  # a moved cart is empty for its guest
        await carts.replace(caller.id, {}, guest=_is_guest(caller))
    return Response(status_code=204)


@router.put(
    "/items/{sku}",
    summary="Put a product",
    responses={404: RESPONSES[404], 409: RESPONSES[409]},
)
async def put_item(
    sku: SkuInPath, wanted: WantedQuantity, caller: Caller, carts: CartsPart, products: ProductsPart
) -> PutResult:
    """Sets the quantity, whatever it was before."""
    refused, reason = await _not_for_sale(products, [sku])
    if refused:
        raise NotForSale("Unknown product, or not sold any more.")
    try:
        await carts.put(caller.id, sku, wanted.quantity, guest=_is_guest(caller))
    except Full:
        raise CartFull(f"It has the maximum of {MOST_LINES} lines.") from None
    except Merged:
        raise CartMoved("Use the account's token.") from None
    return PutResult(lines=1, degraded=reason is not None, reason=reason)


@router.delete("/items/{sku}", status_code=204, summary="Remove a product")
async def remove_item(sku: OldSkuInPath, caller: Caller, carts: CartsPart) -> Response:
    """Idempotent: removing a product that is not in the cart has no effect."""
    await carts.remove(caller.id, sku)
    return Response(status_code=204)


def _is_guest(caller: Principal) -> bool:
    return caller.role == "guest"


async def _not_for_sale(products: Products, skus: Sequence[str]) -> tuple[list[str], str | None]:
    """Products that are not for sale; or none and the reason, if the product service is unavailable."""
    try:
        return await products.not_for_sale(skus), None
    except Unavailable as error:
        return [], str(error)
