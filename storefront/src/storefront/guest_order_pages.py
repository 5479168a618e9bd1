"""Orders that were placed as a guest: looked up by number and address, and claimed for an account."""

from starlette.responses import Response
from starlette.routing import Route

from storefront import account_form
from storefront.account_form import mail_problems
from storefront.api import Json, Refused
from storefront.order_pages import bank_page
from storefront.pages import Pages, Visit
from storefront.password_pages import token_of
from storefront.sentences import order_state

_FIND, _FOUND, _CLAIM = "account/find_order.html", "account/found_order.html", "account/claim.html"
_LONGEST_NUMBER = 20
_REFRESH_SECONDS = 5
# What a look-up does not show, for the sentences that could use it.
_NOT_SHOWN: Json = {"fulfilled_at": None, "cancelled_by": None, "returns": [], "refunded": {"amount": 0}}


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/orders/find", show_form),
        pages.post("/orders/find", find),
        pages.get("/orders/found", show_found),
        pages.get("/claim", show_claim),
        pages.post("/claim", claim),
    ]


async def show_form(visit: Visit) -> Response:
    number = visit.request.query_params.get("number", "")[:_LONGEST_NUMBER]
    return account_form.show(visit, _FIND, number=number, email="")


async def find(visit: Visit) -> Response:
    """Leads to a page that can be reloaded. An unknown number and a wrong address get the same answer."""
    number, email = visit.field("number"), visit.field("email")
    wrong = {} if 0 < len(number) <= _LONGEST_NUMBER else {"number": "number"}
    if wrong := wrong | mail_problems(email):
        return account_form.show(visit, _FIND, 422, number=number, email=email, wrong=wrong)
    try:
        await visit.api.look_up(number, email)
    except Refused as refused:
        return account_form.again(visit, _FIND, refused, number=number, email=email)
    visit.session.looked_up = [number, email]
    return visit.redirect("/orders/found")


async def show_found(visit: Visit) -> Response:
    """The order that was looked up in this browser, as it is now."""
    if visit.session.looked_up is None:
        return visit.redirect("/orders/find")
    number, email = visit.session.looked_up
    try:
        order = await visit.api.look_up(number, email)
    except Refused as refused:
        return account_form.again(visit, _FIND, refused, number=number, email=email)
    state = order_state(visit.language, {**order, **_NOT_SHOWN})
    refresh = _REFRESH_SECONDS if order["status"] == "pending" else None
    return visit.page(_FOUND, order=order, state=state, refresh=refresh, bank_page=bank_page(order))


async def show_claim(visit: Visit) -> Response:
    return account_form.show(visit, _CLAIM, token=visit.session.claim or "")


async def claim(visit: Visit) -> Response:
    """Who is not logged in does that first, or opens an account, and comes back to the button."""
    token = token_of(visit.field("token"))
    if not token:
        return account_form.show(visit, _CLAIM, 422, token="", wrong={"token": "token_missing"})
    visit.session.claim = token
    if not visit.session.is_account:
        visit.session.notice = {"kind": "log_in_to_claim"}
        return visit.redirect("/login", {"next": "/claim"})
    try:
        order = await visit.api.claim(token)
    except Refused as refused:
        return account_form.again(visit, _CLAIM, refused, token=token)
    visit.session.claim, visit.session.notice = None, {"kind": "claimed"}
    return visit.redirect(f"/orders/{order['order_id']}")
