"""The account: who it is, the data to take along, and its end."""

import json

from starlette.responses import Response
from starlette.routing import Route

from storefront import account_form
from storefront.api import Json, Refused
from storefront.pages import Pages, Visit, for_accounts

_ACCOUNT, _DELETE = "account/account.html", "account/delete.html"
_ORDERS_A_CALL = 100


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/account", for_accounts(show)),
        pages.post("/account/confirmation", for_accounts(request_confirmation)),
        pages.get("/account/export", for_accounts(export)),
        pages.get("/account/deletion", for_accounts(show_deletion)),
        pages.post("/account/deletion", for_accounts(delete)),
    ]


async def show(visit: Visit) -> Response:
    return account_form.show(visit, _ACCOUNT, account=await _account(visit))


async def request_confirmation(visit: Visit) -> Response:
    """Have another mail sent."""
    try:
        await visit.api.request_confirmation()
    except Refused as refused:
        return account_form.again(visit, _ACCOUNT, refused, account=await _account(visit))
    visit.session.notice = {"kind": "confirmation_requested"}
    return visit.redirect("/account")


async def export(visit: Visit) -> Response:
    """All that the shop knows of the shopper, as a file. Source: GDPR, articles 15 and 20."""
    account = await visit.api.export()
    del account["elsewhere"]  # which is what follows
    everything = {**account, "cart": (await visit.api.cart_lines())["items"], "orders": await _orders(visit)}
    headers = {
        "Content-Disposition": 'attachment; filename="saga-shop.json"',
        "Cache-Control": "private, no-store",
    }
    text = json.dumps(everything, ensure_ascii=False, indent=2)
    return Response(text, media_type="application/json", headers=headers)


async def show_deletion(visit: Visit) -> Response:
    return account_form.show(visit, _DELETE)


async def delete(visit: Visit) -> Response:
    password = visit.password("password")
    if not password:
        return account_form.show(visit, _DELETE, 422, wrong={"password": "password_missing"})
    try:
        await visit.api.delete_account(password)
    except Refused as refused:
        return account_form.again(visit, _DELETE, refused)
    visit.session.end()
    visit.session.notice = {"kind": "deleted"}
    return visit.redirect("/")


async def _account(visit: Visit) -> Json:
    """Raises `Refused` with 401 if there is none any more: its tokens are good for some minutes longer."""
    try:
        return await visit.api.account()
    except Refused as refused:
        raise Refused(401) if refused.status == 404 else refused from None


async def _orders(visit: Visit) -> list[Json]:
    orders: list[Json] = []
    query: dict[str, str | int] = {"limit": _ORDERS_A_CALL}
    while True:
        found = await visit.api.orders(query)
        orders += found["items"]
        if found["next"] is None:
            return orders
        query["before"] = found["next"]
