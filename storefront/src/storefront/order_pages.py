"""The shopper's orders, and one order: how it becomes paid or cancelled, and what comes back of it."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from storefront import lanes
from storefront.address_form import address_lines
from storefront.api import Json, Refused, new_key, segment
from storefront.pages import Pages, Visit
from storefront.returning import (
    MOST_LINES,
    entries,
    is_money_under_way,
    is_return_under_way,
    returnable,
    warnings,
)
from storefront.sentences import order_state, short_state, timeline

_PAGE = 20
_NUMBER = re.compile(r"[0-9A-Z]{5}-[0-9A-Z]{5}", re.IGNORECASE)
_SOON = 3  # seconds until a page is read again while a service is at work
_LATER = 10  # likewise while the outside world is: the bank, the warehouse, the parcel
_SLOWLY = 60
# An order about which nothing happens for that long is read again slowly, then not at all.
_SLOWLY_AFTER = timedelta(minutes=10)
_NEVER_AFTER = timedelta(days=1)
_RETURN_REFUSALS = {
    "/problems/more-than-is-left": "return_too_many",
    "/problems/too-late-to-return": "return_too_late",
    "/problems/return-closed": "return_closed",
    "/problems/idempotency-key-reused": "return_again",
    "/problems/idempotency-key-in-use": "return_wait",
}


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/orders", show_all),
        pages.get("/orders/return", come_back),
        pages.get("/orders/{order}", show_or_find),
        pages.post("/orders/{order}/cancel", cancel),
        pages.post("/orders/{order}/returns", request_return),
        pages.post("/orders/{order}/withdraw", withdraw_return),
    ]


async def show_all(visit: Visit) -> Response:
    """The orders of this shopper, newest first."""
    if not visit.session.is_current:
        return visit.page("orders.html", orders=[], following=None, states={})
    query: dict[str, str | int] = {"limit": _PAGE}
    if before := visit.request.query_params.get("before"):
        query["before"] = before
    found = await visit.api.orders(query)
    states = {one["order_id"]: short_state(visit.language, one) for one in found["items"]}
    return visit.page("orders.html", orders=found["items"], following=found["next"], states=states)


async def come_back(visit: Visit) -> Response:
    """From the bank's page: to the order that the query names, or else to the newest one."""
    if named := _id(visit.request.query_params.get("order", "")):
        return visit.redirect(f"/orders/{named}")
    found = await visit.api.orders({"limit": 1}) if visit.session.is_current else {"items": []}
    newest = [order["order_id"] for order in found["items"]]
    return visit.redirect(f"/orders/{newest[0]}" if newest else "/orders")


async def show_or_find(visit: Visit) -> Response:
    """The order. The link of a mail has its number, and may be opened where its shopper is not known: there
    it is found by her address as well."""
    try:
        return await show(visit)
    except Refused as refused:
        number = visit.path("order")
        if refused.status != 404 or not _NUMBER.fullmatch(number):
            raise
        return visit.redirect("/orders/find", {"number": number})


async def show(visit: Visit) -> Response:
    """What has happened, what comes next, and what the shopper can do; on demand, how it works."""
    if not visit.session.is_current:
        raise Refused(404)
    ref = visit.path("order")
    order = await visit.api.order(ref)
    events = await visit.api.timeline(ref)
    is_pending = order["status"] == "pending"
    if order["status"] == "paid":
        visit.session.pieces = await visit.api.pieces_in_cart()
    now, until = _now(), await visit.api.return_until(ref) if order["fulfilled_at"] else None
    is_explained = "how" in visit.request.query_params
    refresh = _refresh(order, events, now)
    return visit.page(
        "order.html",
        order=order,
        address=_address(visit, order["shipping"]),
        state=order_state(visit.language, order),
        warnings=warnings(visit.language, order),
        steps=timeline(visit.language, order, events),
        bank_page=bank_page(order),
        can_be_cancelled=order["status"] in ("pending", "paid") and not order["fulfilled_at"],
        returns=entries(visit.language, order),
        returnable=returnable(order, until, now),
        until=until,
        key=new_key(),
        lanes=lanes.LANES if is_explained else None,
        rows=lanes.rows(visit.language, order, events) if is_explained else [],
        kinds=lanes.kinds(visit.language),
        terms=lanes.terms(visit.language),
        refresh=refresh,
        # Without a script the whole page is read again, and what is being entered would be lost.
        reload=refresh if is_pending or is_money_under_way(order) else None,
        stream=await visit.api.event_stream(ref) if is_pending else None,
    )


def _address(visit: Visit, shipping: Json | None) -> list[str]:
    """Where it goes, line by line, with the VAT ID; none once it was erased."""
    if shipping is None:
        return []
    return address_lines(visit.language, shipping) + [shipping["vat_id"]] * bool(shipping["vat_id"])


async def cancel(visit: Visit) -> Response:
    """Cancels the order, if it still can be; a second time changes nothing."""
    try:
        await visit.api.cancel(visit.path("order"))
    except Refused as refused:
        if refused.status != 409:
            raise
        visit.session.notice = {"kind": "not_cancelled"}
    return _back(visit)


async def request_return(visit: Visit) -> Response:
    """Requests the return of some lines, once for each key of a form."""
    wanted = _wanted(visit)
    if not wanted:
        visit.session.notice = {"kind": "return_nothing"}
        return _back(visit)
    try:
        await visit.api.request_return(visit.path("order"), wanted, visit.field("key"))
    except Refused as refused:
        _explain(visit, refused)
    else:
        visit.session.notice = {"kind": "return_requested"}
    return _back(visit)


async def withdraw_return(visit: Visit) -> Response:
    """Withdraws a return that has not arrived; a second time changes nothing."""
    try:
        await visit.api.withdraw_return(visit.path("order"), visit.field("return_id"))
    except Refused as refused:
        _explain(visit, refused)
    else:
        visit.session.notice = {"kind": "return_withdrawn"}
    return _back(visit)


def _wanted(visit: Visit) -> list[Json]:
    """The lines of the form with more than no pieces."""
    wanted = []
    for name, value in list(visit.form.items())[: 2 * MOST_LINES]:
        prefix, _, sku = name.partition(":")
        pieces = value.strip() if isinstance(value, str) else ""
        if prefix == "pieces" and pieces.isascii() and pieces.isdecimal() and len(pieces) < 6:
            wanted.append({"sku": sku, "quantity": int(pieces)})
    return [one for one in wanted if one["quantity"]]


def _explain(visit: Visit, refused: Refused) -> None:
    """Says why on the next page; raises `refused` if there is no reason for a shopper."""
    kind = _RETURN_REFUSALS.get(refused.type)
    if kind is None and refused.status != 422:
        raise refused
    visit.session.notice = {"kind": kind or "return_too_many"}


def _back(visit: Visit) -> Response:
    """To the order, as it was looked at."""
    is_explained = "how" in visit.request.query_params
    return visit.redirect(f"/orders/{segment(visit.path('order'))}", {"how": "1"} if is_explained else None)


def _refresh(order: Json, events: list[Json], now: datetime) -> int | None:
    """After how many seconds to look again; None if nothing is under way, or nothing happens any more."""
    if order["status"] == "pending" or is_money_under_way(order):
        seconds = _SOON
    elif order["status"] == "paid" and (not order["fulfilled_at"] or is_return_under_way(order)):
        seconds = _LATER
    else:
        return None
    times = [event["time"] for event in events] + [one["requested_at"] for one in order["returns"]]
    idle = now - max(map(datetime.fromisoformat, times), default=now)
    if idle > _NEVER_AFTER:
        return None
    return _SLOWLY if idle > _SLOWLY_AFTER else seconds


def _now() -> datetime:
    return datetime.now(UTC)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def bank_page(order: Json) -> str | None:
    """Where to confirm the payment; never an address that a browser would run as code."""
    url = str(order["action"]["url"]) if order["action"] else ""
    return url if url.startswith(("https://", "http://")) else None
