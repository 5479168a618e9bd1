"""The cart: read, add, change, remove, undo.

Two tabs may show the same cart. Pieces that are added are added to whatever is there. A line is changed or
removed only if it still has the pieces that the page showed: otherwise nothing happens, and the page says so.
"""

from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.routing import Route

from storefront import cart_prices
from storefront.api import Refused, new_key
from storefront.pages import Pages, Visit

MOST_PIECES = 10_000  # of a product in a cart, as cart allows
_TRIES = 4
_REFUSALS = {
    "/problems/not-for-sale": "not_for_sale",
    "/problems/cart-full": "cart_full",
    "/problems/too-many-pieces": "quantity",
}
_CART_CHANGED = 412


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/cart", show),
        pages.post("/cart/add", add),
        pages.post("/cart/change", change),
        pages.post("/cart/remove", remove),
    ]


async def show(visit: Visit) -> Response:
    """With current prices, what they were before, and what would keep a line from being ordered."""
    if not visit.session.is_current:
        return visit.page("cart.html", cart=None, products={}, before={})
    cart = await visit.api.cart()
    visit.session.pieces = sum(line["quantity"] for line in cart["items"])
    products = {} if cart["degraded"] else await visit.api.products_of([one["sku"] for one in cart["items"]])
    return visit.page(
        "cart.html", cart=cart, products=products, before=cart_prices.changed(visit.session, cart)
    )


async def add(visit: Visit) -> Response:
    """Adds pieces once, however often the form is sent, and leads back to the product, or to the cart if the
    form says so."""
    sku, quantity, key = visit.field("sku"), _quantity(visit, "quantity"), visit.field("key")
    path = "/cart" if visit.field("to") == "cart" else visit.product_path(sku)
    if quantity == 0:
        visit.session.notice = {"kind": "quantity", "most": MOST_PIECES}
        return visit.redirect(path)
    await visit.identify()
    try:
        await visit.api.add(sku, quantity, key)
    except Refused as refused:
        return _explain(visit, refused, path)
    visit.session.pieces = await visit.api.pieces_in_cart()
    visit.session.notice = {"kind": "added", "quantity": quantity}
    cart_prices.remember(visit.session, sku, visit.field("price"), visit.field("currency"))
    return visit.redirect(path)


async def change(visit: Visit) -> Response:
    """Sets a line's quantity."""
    sku, quantity = visit.field("sku"), _quantity(visit, "quantity")
    if quantity == 0:
        visit.session.notice = {"kind": "quantity", "most": MOST_PIECES}
        return visit.redirect("/cart")
    try:
        if await _unless_changed(visit, lambda version: visit.api.put(sku, quantity, version=version)):
            visit.session.notice = {"kind": "changed"}
    except Refused as refused:
        return _explain(visit, refused, "/cart")
    return visit.redirect("/cart")


async def remove(visit: Visit) -> Response:
    """Removes a line, and offers to undo that."""
    sku, quantity = visit.field("sku"), _quantity(visit, "was")
    if await _unless_changed(visit, lambda version: visit.api.remove(sku, version=version)) and quantity:
        visit.session.notice = {"kind": "removed", "sku": sku, "quantity": quantity, "key": new_key()}
    return visit.redirect("/cart")


async def _unless_changed(visit: Visit, write: Callable[[int], Awaitable[None]]) -> bool:
    """Write to the version of the cart that the page showed. If the cart has another by now, but the line has
    as many pieces as were shown, write to that; otherwise write nothing, say what has changed, and return
    False."""
    sku, was, version = visit.field("sku"), _quantity(visit, "was"), _quantity(visit, "version", 2**62)
    for _ in range(_TRIES):
        try:
            await write(version)
        except Refused as refused:
            if refused.status != _CART_CHANGED:
                raise
        else:
            return True
        lines = await visit.api.cart_lines()
        version = lines["version"]
        pieces = next((line["quantity"] for line in lines["items"] if line["sku"] == sku), 0)
        if pieces != was:
            visit.session.notice = {"kind": "other_tab", "quantity": pieces}
            return False
    visit.session.notice = {"kind": "other_tab", "quantity": was}
    return False


def _quantity(visit: Visit, name: str, most: int = MOST_PIECES) -> int:
    """What was entered, or 0 if that is no quantity."""
    entered = visit.field(name)
    number = int(entered) if entered.isascii() and entered.isdecimal() and len(entered) < 19 else 0
    return number if number <= most else 0


def _explain(visit: Visit, refused: Refused, path: str) -> Response:
    """Back to the page, with the reason; raises `refused` if it has none for a shopper."""
    if refused.type not in _REFUSALS:
        raise refused
    visit.session.notice = {"kind": _REFUSALS[refused.type], "most": MOST_PIECES}
    return visit.redirect(path)
