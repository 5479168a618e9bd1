"""The checkout, on one page: where to send it, how to pay, and one order however often it is sent."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from storefront.address_form import (
    EMAIL,
    PARTS,
    Field,
    address_fields,
    advice,
    labels,
    missing,
    postal_address,
    refused_fields,
)
from storefront.api import Json, Refused, new_key
from storefront.pages import Pages, Visit
from storefront.payment_form import CARDS, is_payment, stripe_amount
from storefront.protection import STRIPE_POLICY
from storefront.sentences import checkout_refusal

_ENTERED = (EMAIL.name, *PARTS, "card")
# Then the form keeps its key: it may have placed the order, or is about to.
_UNDECIDED = ("/problems/idempotency-key-in-use", "/problems/idempotency-claim-lost", "/problems/place-again")


def routes(pages: Pages) -> list[Route]:
    return [pages.get("/checkout", show), pages.post("/checkout", place)]


async def show(visit: Visit) -> Response:
    """A new form, with a new idempotency key."""
    cart = await _cart(visit)
    if not _can_be_ordered(cart):
        return visit.redirect("/cart")
    card = "" if visit.stripe_key else CARDS[0]
    entered = dict.fromkeys(_ENTERED, "") | {"card": card, "country": _country(visit)}
    entered[EMAIL.name] = await _account_mail(visit)
    return _form(visit, cart, entered, new_key())


async def place(visit: Visit) -> Response:
    """Places the order, or shows the form again: with what is to be done, or with the country's fields."""
    entered = {name: visit.field(name) for name in _ENTERED}
    key = visit.field("key")
    if not visit.session.is_current or not key:
        return visit.redirect("/cart")
    if visit.field("update"):
        return _form(visit, await _cart_or_none(visit), entered, key)
    is_free = visit.field("total") == "0"
    wrong = missing(entered, _fields(entered))
    if not is_free and not is_payment(entered["card"], visit.stripe_key):
        wrong.append("card")
    if wrong:
        return _form(visit, await _cart_or_none(visit), entered, key, 422, wrong=wrong)
    try:
        placed = await visit.api.place_order(_order(visit, entered, is_free=is_free), key)
    except Refused as refused:
        return await _refused(visit, refused, entered, key)
    return visit.redirect(f"/orders/{placed['order_id']}")


async def _refused(visit: Visit, refused: Refused, entered: dict[str, str], key: str) -> Response:
    match refused.type:
        case "/problems/cart-already-ordered":
            return visit.redirect(f"/orders/{refused.members['order_id']}")
        case "/problems/cart-not-orderable":
            return visit.redirect("/cart")
    if refused.status == 401:
        raise refused
    errors = refused.members.get("errors", [])
    wrong = refused_fields(errors, _fields(entered))
    if any(one.get("pointer") == "/payment_method" for one in errors):
        wrong.append("card")
    is_undecided = refused.status >= 500 or refused.type in _UNDECIDED
    response = _form(
        visit,
        await _cart_or_none(visit),
        entered,
        key if is_undecided else new_key(),
        503 if refused.status >= 500 else refused.status,
        wrong=wrong,
        warning="" if wrong else checkout_refusal(visit.language, refused),
    )
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _form(
    visit: Visit,
    cart: Json | None,
    entered: dict[str, str],
    key: str,
    status: int = 200,
    *,
    wrong: list[str] | None = None,
    warning: str = "",
) -> Response:
    """The page. Without the cart, which does not answer, what the page showed before stays."""
    shown: dict[str, Any] = {name: visit.field(name) for name in ("total", "currency", "lines")}
    if cart is not None:
        lines = [[line["sku"], line["quantity"]] for line in cart["items"]]
        total, currency = str(cart["total"]), cart["currency"] or ""
        shown = {"total": total, "currency": currency, "lines": json.dumps(lines)}
    response = visit.page(
        "checkout.html",
        status,
        cart=cart,
        shown=shown,
        fields=_fields(entered),
        cards=CARDS,
        stripe_amount=stripe_amount(shown["total"], shown["currency"]),
        labels=labels(visit.language, entered["country"]),
        advice=advice(visit.language) | {"card": _card_advice(visit)},
        is_updated=bool(visit.field("update")),
        entered=entered,
        key=key,
        wrong=wrong or [],
        warning=warning,
        countries=visit.language.countries(),
    )
    if visit.stripe_key:
        response.headers["Content-Security-Policy"] = STRIPE_POLICY
    return response


def _card_advice(visit: Visit) -> str:
    return visit._("Enter your card.") if visit.stripe_key else visit._("Choose a card.")


def _fields(entered: Mapping[str, str]) -> list[Field]:
    return [EMAIL, *address_fields(entered)]


def _order(visit: Visit, entered: dict[str, str], *, is_free: bool) -> Json:
    """The body of the API's checkout. It takes at most what the page showed."""
    origin = visit.request.headers.get("origin", visit.origin)
    order: Json = {
        "email": entered["email"],
        "shipping": postal_address(entered),
        "return_url": f"{origin}/orders/return?order={{order_id}}",
    }
    if not is_free:
        order["payment_method"] = entered["card"]
    try:
        total, lines = int(visit.field("total")), json.loads(visit.field("lines"))
        expected = [{"sku": str(sku), "quantity": int(quantity)} for sku, quantity in lines]
    except (
        ValueError,
        TypeError,
    ):  # not the page's own: then the API's prices are taken as they are shown next
        total, expected = 0, []
    order["expected_total"] = {"amount": total, "currency": visit.field("currency") or "GBP"}
    return order | {"expected_lines": expected}


async def _account_mail(visit: Visit) -> str:
    """Of who is logged in. The checkout can do without."""
    if not visit.session.is_account:
        return ""
    try:
        return str((await visit.api.account())["email"])
    except Refused:
        return ""


async def _cart(visit: Visit) -> Json | None:
    return await visit.api.cart() if visit.session.is_current else None


async def _cart_or_none(visit: Visit) -> Json | None:
    """None as well while it does not answer, or cannot be shown with a total."""
    try:
        cart = await _cart(visit)
    except Refused:
        return None
    return cart if _can_be_ordered(cart) else None


def _can_be_ordered(cart: Json | None) -> bool:
    return cart is not None and bool(cart["items"]) and cart["total"] is not None and not _problems(cart)


def _problems(cart: Json) -> list[Json]:
    """The lines that an order would be refused for; one that is short may be waited for."""
    return [line for line in cart["items"] if line["problem"]]


def _country(visit: Visit) -> str:
    """The likeliest one: that of the language the browser prefers."""
    region = visit.request.headers.get("accept-language", "").partition(",")[0].partition("-")[2].upper()
    return region if len(region) == 2 and region.isalpha() else "GB"
