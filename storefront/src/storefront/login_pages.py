"""Logging in and out, and registering. What was in the guest's cart comes along."""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.routing import Route

from storefront import account_form
from storefront.account_form import mail_problems, password_problems
from storefront.api import Refused
from storefront.pages import Pages, Visit

# The guest's cart is merged by an event: what a shopper waits for it, in seconds, before the page says so.
_PAUSES = (0.1, 0.2, 0.3, 0.4)
_LOGIN, _REGISTER = "account/login.html", "account/register.html"


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/login", show_login),
        pages.post("/login", log_in),
        pages.get("/register", show_registration),
        pages.post("/register", register),
        pages.post("/logout", log_out),
        pages.post("/logout/everywhere", log_out_everywhere),
    ]


async def show_login(visit: Visit) -> Response:
    return _form(visit, _LOGIN)


async def show_registration(visit: Visit) -> Response:
    return _form(visit, _REGISTER)


async def log_in(visit: Visit) -> Response:
    """Leads to where the shopper was."""
    email, password = visit.field("email"), visit.password("password")
    wrong = mail_problems(email) | ({} if password else {"password": "password_missing"})
    if wrong:
        return account_form.show(visit, _LOGIN, 422, email=email, wrong=wrong)
    try:
        await _begin(visit, email, password)
    except Refused as refused:
        return account_form.again(visit, _LOGIN, refused, email=email)
    return visit.redirect(visit.next_page)


async def register(visit: Visit) -> Response:
    """And logs in. Who sends the form twice, or has an account with this password, is logged in as well."""
    email, password = visit.field("email"), visit.password("password")
    if wrong := mail_problems(email) | password_problems(password):
        return account_form.show(visit, _REGISTER, 422, email=email, wrong=wrong)
    taken: Refused | None = None
    try:
        await visit.api.register(email, password)
    except Refused as refused:
        if refused.type != "/problems/email-taken":
            return account_form.again(visit, _REGISTER, refused, email=email)
        taken = refused
    try:
        await _begin(visit, email, password)
    except Refused as refused:
        is_wrong = taken is not None and refused.status == 400
        return account_form.again(visit, _REGISTER, taken if taken and is_wrong else refused, email=email)
    if taken is None:
        visit.session.notice = {"kind": "registered"}
    return visit.redirect(visit.next_page)


async def log_out(visit: Visit) -> Response:
    """This browser forgets the shopper, even if auth does not answer."""
    if visit.session.is_account:
        with suppress(Refused):
            await visit.api.log_out()
    return _goodbye(visit, "logged_out")


async def log_out_everywhere(visit: Visit) -> Response:
    if not visit.session.is_account:
        return visit.log_in_first()
    await visit.api.log_out_everywhere()
    return _goodbye(visit, "logged_out_everywhere")


def _form(visit: Visit, template: str) -> Response:
    if visit.session.is_account:
        return visit.redirect(visit.next_page)
    return account_form.show(visit, template, email="")


async def _begin(visit: Visit, email: str, password: str) -> None:
    """Log in, and wait a moment for what was in the guest's cart."""
    pieces = visit.session.pieces
    visit.session.log_in(await visit.api.log_in(email, password))
    try:
        for pause in _PAUSES:
            visit.session.pieces = await visit.api.pieces_in_cart()
            if visit.session.pieces >= pieces:
                return
            await asyncio.sleep(pause)
    except Refused:
        return  # logged in all the same: the page of the cart counts again
    visit.session.notice = {"kind": "cart_follows"}


def _goodbye(visit: Visit, notice: str) -> Response:
    visit.session.end()
    visit.session.notice = {"kind": notice}
    return visit.redirect("/")
