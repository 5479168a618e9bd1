"""A shopper's own cart. Product being down stops nobody from filling it: checkout looks again."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Response

from cart.domain import MOST_LINES, Full, Merged
from cart.models import BareLines, Put, ShownCart, WantedLines, WantedQuantity
from cart.products import Products
from cart.shown import shown, shown_without_prices
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
# What an earlier release took into carts was any text: its owner must be able to take it out again.
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
    """409: the cart has as many lines as it may have."""

    type = "/problems/cart-full"
    title = "The cart is full"


class CartMoved(Conflict):
    """409: the guest has logged in, and the cart is the account's now."""

    type = "/problems/cart-moved"
    title = "The cart has moved to an account"


@router.get("", summary="Read the cart", response_model=ShownCart)
async def get_cart(caller: Caller, carts: CartsPart, products: ProductsPart) -> Response:
    """With names, prices and availability as product tells them now, or without them while it does not."""
    items = (await carts.read(caller.id)).items
    try:
        document = shown(items, await products.read(list(items)))
    except Unavailable as error:
        document = shown_without_prices(items, str(error))
    return Response(orjson.dumps(document), media_type=_JSON)


@router.get("/lines", summary="Read what is in the cart", response_model=BareLines)
async def get_lines(caller: Caller, carts: CartsPart) -> Response:
    """Products and quantities alone, and what the cart counts as: all that a checkout takes from a cart."""
    cart = await carts.read(caller.id)
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in sorted(cart.items.items())]
    told = {"items": lines, "ids": cart.ids, "bought": cart.bought}
    return Response(orjson.dumps(told, default=str), media_type=_JSON)


@router.put("", summary="Replace the cart", responses={409: RESPONSES[409]})
async def replace_cart(wanted: WantedLines, caller: Caller, carts: CartsPart, products: ProductsPart) -> Put:
    """All lines at once, in place of those that were there."""
    items = wanted.quantities()
    refused, reason = await _not_for_sale(products, list(items))
    if refused:
        raise SomeNotForSale("Take these out.", skus=refused)
    try:
        await carts.replace(caller.id, items, guest=_is_guest(caller))
    except Merged:
        raise CartMoved("Use the account's token.") from None
    return Put(lines=len(items), degraded=reason is not None, reason=reason)


@router.delete("", status_code=204, summary="Empty the cart")
async def empty_cart(caller: Caller, carts: CartsPart) -> Response:
    """Nothing is left in it."""
    with suppress(Merged):  # it is empty, as its guest sees it
        await carts.replace(caller.id, {}, guest=_is_guest(caller))
    return Response(status_code=204)


@router.put(
    "/items/{sku}",
    summary="Put a product",
    responses={404: RESPONSES[404], 409: RESPONSES[409]},
)
async def put_item(
    sku: SkuInPath, wanted: WantedQuantity, caller: Caller, carts: CartsPart, products: ProductsPart
) -> Put:
    """So many pieces of it, whatever there were before."""
    refused, reason = await _not_for_sale(products, [sku])
    if refused:
        raise NotForSale("There is no such product, or it is not sold any more.")
    try:
        await carts.put(caller.id, sku, wanted.quantity, guest=_is_guest(caller))
    except Full:
        raise CartFull(f"It has {MOST_LINES} lines.") from None
    except Merged:
        raise CartMoved("Use the account's token.") from None
    return Put(lines=1, degraded=reason is not None, reason=reason)


@router.delete("/items/{sku}", status_code=204, summary="Take a product out")
async def remove_item(sku: OldSkuInPath, caller: Caller, carts: CartsPart) -> Response:
    """Also when it was not there."""
    await carts.remove(caller.id, sku)
    return Response(status_code=204)


def _is_guest(caller: Principal) -> bool:
    return caller.role == "guest"


async def _not_for_sale(products: Products, skus: Sequence[str]) -> tuple[list[str], str | None]:
    """Those that product does not sell, and why it could not be asked."""
    try:
        return await products.not_for_sale(skus), None
    except Unavailable as error:
        return [], str(error)
