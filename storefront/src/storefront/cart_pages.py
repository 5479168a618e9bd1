"""The cart: read, add, change, remove, undo."""

from starlette.responses import Response
from starlette.routing import Route

from storefront.api import Refused, new_key
from storefront.pages import Pages, Visit

MOST_PIECES = 10_000  # of a product in a cart, as cart allows
_REFUSALS = {
    "/problems/not-for-sale": "not_for_sale",
    "/problems/cart-full": "cart_full",
    "/problems/too-many-pieces": "quantity",
}


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/cart", show),
        pages.post("/cart/add", add),
        pages.post("/cart/change", change),
        pages.post("/cart/remove", remove),
    ]


async def show(visit: Visit) -> Response:
    """With current prices, and what would keep a line from being ordered."""
    if not visit.session.is_current:
        return visit.page("cart.html", cart=None, products={})
    cart = await visit.api.cart()
    visit.session.pieces = sum(line["quantity"] for line in cart["items"])
    products = {} if cart["degraded"] else await visit.api.products_of([one["sku"] for one in cart["items"]])
    return visit.page("cart.html", cart=cart, products=products)


async def add(visit: Visit) -> Response:
    """Adds pieces once, however often the form is sent, and leads back to the product."""
    sku, quantity, key = visit.field("sku"), _quantity(visit), visit.field("key")
    if quantity == 0:
        visit.session.notice = {"kind": "quantity", "most": MOST_PIECES}
        return visit.redirect(visit.product_path(sku))
    await visit.identify()
    try:
        await visit.api.add(sku, quantity, key)
    except Refused as refused:
        return _explain(visit, refused, visit.product_path(sku))
    visit.session.pieces = await visit.api.pieces_in_cart()
    visit.session.notice = {"kind": "added", "quantity": quantity}
    return visit.redirect(visit.product_path(sku))


async def change(visit: Visit) -> Response:
    """Sets a line's quantity."""
    quantity = _quantity(visit)
    if quantity == 0:
        visit.session.notice = {"kind": "quantity", "most": MOST_PIECES}
        return visit.redirect("/cart")
    try:
        await visit.api.put(visit.field("sku"), quantity)
    except Refused as refused:
        return _explain(visit, refused, "/cart")
    return visit.redirect("/cart")


async def remove(visit: Visit) -> Response:
    """Removes a line, and offers to undo that."""
    sku, quantity = visit.field("sku"), _quantity(visit)
    await visit.api.remove(sku)
    if quantity:
        visit.session.notice = {"kind": "removed", "sku": sku, "quantity": quantity, "key": new_key()}
    return visit.redirect("/cart")


def _quantity(visit: Visit) -> int:
    """What was entered, or 0 if that is no quantity."""
    entered = visit.field("quantity")
    number = int(entered) if entered.isascii() and entered.isdecimal() and len(entered) < 9 else 0
    return number if number <= MOST_PIECES else 0


def _explain(visit: Visit, refused: Refused, path: str) -> Response:
    """Back to the page, with the reason; raises `refused` if it has none for a shopper."""
    if refused.type not in _REFUSALS:
        raise refused
    visit.session.notice = {"kind": _REFUSALS[refused.type], "most": MOST_PIECES}
    return visit.redirect(path)
