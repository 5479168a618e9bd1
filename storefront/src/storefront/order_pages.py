"""The shopper's orders, and one order while it becomes paid or cancelled."""

from starlette.responses import Response
from starlette.routing import Route

from storefront.api import Json, Refused
from storefront.pages import Pages, Visit
from storefront.sentences import order_state, timeline

_PAGE = 20
_REFRESH_SECONDS = 3


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/orders", show_all),
        pages.get("/orders/return", come_back),
        pages.get("/orders/{order}", show),
        pages.post("/orders/{order}/cancel", cancel),
    ]


async def show_all(visit: Visit) -> Response:
    """The orders of this shopper, newest first."""
    if not visit.session.is_current:
        return visit.page("orders.html", orders=[], following=None)
    query: dict[str, str | int] = {"limit": _PAGE}
    if before := visit.request.query_params.get("before"):
        query["before"] = before
    found = await visit.api.orders(query)
    return visit.page("orders.html", orders=found["items"], following=found["next"])


async def come_back(visit: Visit) -> Response:
    """From the bank's page, which knows no order: to the newest one."""
    found = await visit.api.orders({"limit": 1}) if visit.session.is_current else {"items": []}
    newest = [order["order_id"] for order in found["items"]]
    return visit.redirect(f"/orders/{newest[0]}" if newest else "/orders")


async def show(visit: Visit) -> Response:
    """What has happened, what comes next, and what the shopper can do."""
    if not visit.session.is_current:
        raise Refused(404)
    ref = visit.path("order")
    order = await visit.api.order(ref)
    events = await visit.api.timeline(ref)
    is_pending = order["status"] == "pending"
    if order["status"] == "paid":
        visit.session.pieces = await visit.api.pieces_in_cart()
    return visit.page(
        "order.html",
        order=order,
        state=order_state(visit.language, order),
        steps=timeline(visit.language, order, events),
        bank_page=bank_page(order),
        can_be_cancelled=order["status"] in ("pending", "paid") and not order["fulfilled_at"],
        refresh=_REFRESH_SECONDS if is_pending or _is_being_undone(order) else None,
        stream=await visit.api.event_stream(ref) if is_pending else None,
    )


async def cancel(visit: Visit) -> Response:
    """Cancels the order, if it still can be; a second time changes nothing."""
    ref = visit.path("order")
    try:
        await visit.api.cancel(ref)
    except Refused as refused:
        if refused.status != 409:
            raise
        visit.session.notice = {"kind": "not_cancelled"}
    return visit.redirect(visit.request.url.path.removesuffix("/cancel"))


def bank_page(order: Json) -> str | None:
    """Where to confirm the payment; never an address that a browser would run as code."""
    url = str(order["action"]["url"]) if order["action"] else ""
    return url if url.startswith(("https://", "http://")) else None


def _is_being_undone(order: Json) -> bool:
    return bool(order["status"] == "cancelled" and order["paid_at"] and not order["refunded_at"])
