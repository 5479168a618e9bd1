"""The checkout, on one page: where to send it, how to pay, and one order however often it is sent."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from storefront.address_form import (
    EMAIL,
    PARTS,
    address_fields,
    address_line,
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

_NEW = "new"  # in place of the id of a saved address
_ENTERED = (EMAIL.name, "address", *PARTS, "save", "card")
# Then the form keeps its key: it may have placed the order, or is about to.
_UNDECIDED = ("/problems/idempotency-key-in-use", "/problems/idempotency-claim-lost", "/problems/place-again")


def routes(pages: Pages) -> list[Route]:
    return [pages.get("/checkout", show), pages.post("/checkout", place)]


async def show(visit: Visit) -> Response:
    """A new form, with a new idempotency key, and with what the account knows."""
    cart, email, saved = await asyncio.gather(_cart(visit), _email(visit), _saved(visit))
    if not _can_be_ordered(cart):
        return visit.redirect("/cart")
    entered = dict.fromkeys(_ENTERED, "") | {
        "email": email,
        "address": saved[0]["address_id"] if saved else _NEW,
        "country": visit.country(),
        "card": "" if visit.stripe_key else CARDS[0],
    }
    return _form(visit, cart, saved, entered, new_key())


async def place(visit: Visit) -> Response:
    """Places the order, or shows the form again: with what is to be done, or with the country's fields."""
    entered = {name: visit.field(name) for name in _ENTERED}
    key = visit.field("key")
    if not visit.session.is_current or not key:
        return visit.redirect("/cart")
    saved = await _saved(visit)
    if visit.field("update"):
        return _form(visit, await _cart_or_none(visit), saved, entered | {"address": _NEW}, key)
    is_free = visit.field("total") == "0"
    if wrong := _wrong(visit, entered, saved, is_free=is_free):
        return _form(visit, await _cart_or_none(visit), saved, entered, key, 422, wrong=wrong)
    address = _address(entered, saved)
    try:
        placed = await visit.api.place_order(_order(visit, entered, address, is_free=is_free), key)
    except Refused as refused:
        return await _refused(visit, refused, saved, entered, key)
    if visit.session.is_account and entered["save"] and _is_new(entered):
        await _save(visit, address, key)
    return visit.redirect(f"/orders/{placed['order_id']}")


def _is_new(entered: Mapping[str, str]) -> bool:
    return entered["address"] in ("", _NEW)


def _wrong(visit: Visit, entered: dict[str, str], saved: list[Json], *, is_free: bool) -> list[str]:
    """The fields that cannot be right, in the page's order."""
    if _is_new(entered):
        wrong = missing(entered, [EMAIL, *address_fields(entered)])
    else:
        wrong = missing(entered, [EMAIL])
        if all(one["address_id"] != entered["address"] for one in saved):
            wrong.append("address")
    if not is_free and not is_payment(entered["card"], visit.stripe_key):
        wrong.append("card")
    return wrong


def _address(entered: dict[str, str], saved: list[Json]) -> Json:
    """The one that was chosen, or that was entered."""
    chosen = [one["address"] for one in saved if one["address_id"] == entered["address"]]
    return postal_address(chosen[0] if chosen else entered)


async def _save(visit: Visit, address: Json, key: str) -> None:
    """Keep the address in the account. The key is its id, so that it is saved once, as the order is placed
    once."""
    try:
        await visit.api.put_address(key, address, is_default=False)
    except Refused:
        visit.session.notice = {"kind": "address_not_saved"}


async def _refused(
    visit: Visit, refused: Refused, saved: list[Json], entered: dict[str, str], key: str
) -> Response:
    match refused.type:
        case "/problems/cart-already-ordered":
            return visit.redirect(f"/orders/{refused.members['order_id']}")
        case "/problems/cart-not-orderable":
            return visit.redirect("/cart")
    if refused.status == 401:
        raise refused
    errors = refused.members.get("errors", [])
    wrong = refused_fields(errors, [EMAIL, *address_fields(entered)])
    if any(one.get("pointer") == "/payment_method" for one in errors):
        wrong.append("card")
    is_undecided = refused.status >= 500 or refused.type in _UNDECIDED
    response = _form(
        visit,
        await _cart_or_none(visit),
        saved,
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
    saved: list[Json],
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
        email=EMAIL,
        addresses=[(one["address_id"], address_line(visit.language, one["address"])) for one in saved],
        fields=address_fields(entered),
        cards=CARDS,
        stripe_amount=stripe_amount(shown["total"], shown["currency"]),
        labels=labels(visit.language, entered["country"]),
        advice=advice(visit.language) | _advice_on_choices(visit),
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


def _advice_on_choices(visit: Visit) -> dict[str, str]:
    _ = visit._
    return {
        "address": _("Choose an address, or enter another one."),
        "card": _("Enter your card.") if visit.stripe_key else _("Choose a card."),
    }


def _order(visit: Visit, entered: dict[str, str], address: Json, *, is_free: bool) -> Json:
    """The body of the API's checkout. It takes at most what the page showed."""
    origin = visit.request.headers.get("origin", visit.origin)
    order: Json = {
        "email": entered["email"],
        "shipping": address,
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


async def _email(visit: Visit) -> str:
    """The account's address; empty for a guest, and while auth does not answer."""
    try:
        return str((await visit.api.account())["email"]) if visit.session.is_account else ""
    except Refused as refused:
        if refused.status == 401:
            raise
        return ""


async def _saved(visit: Visit) -> list[Json]:
    """The account's addresses; none for a guest, and while auth does not answer."""
    try:
        return await visit.api.addresses() if visit.session.is_account else []
    except Refused as refused:
        if refused.status == 401:
            raise
        return []


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
