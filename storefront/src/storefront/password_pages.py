"""A new password: with the present one, or by a mail. The same way an address is confirmed.

The link of a mail has its token behind a `#`, which reaches no server: `mailed.js` puts it into the form.
Without JavaScript the shopper pastes the link, or what is behind the `#`.
"""

from starlette.responses import Response
from starlette.routing import Route

from storefront import account_form
from storefront.account_form import mail_problems, password_problems
from storefront.api import Refused
from storefront.pages import Pages, Visit, for_accounts

_CHANGE, _ASK, _CHOOSE = "account/password.html", "account/reset.html", "account/reset_new.html"
_CONFIRM = "account/confirm.html"
LONGEST_TOKEN = 512


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/account/password", for_accounts(show_change)),
        pages.post("/account/password", for_accounts(change)),
        pages.get("/reset", show_request),
        pages.post("/reset", request_mail),
        pages.get("/reset/new", show_choice),
        pages.post("/reset/new", choose),
        pages.get("/confirm", show_confirmation),
        pages.post("/confirm", confirm),
    ]


def token_of(entered: str) -> str:
    """The token of a mail's link, or of a part of it that has the token at its end."""
    return entered.rpartition("#")[2].strip()[:LONGEST_TOKEN]


async def show_change(visit: Visit) -> Response:
    return account_form.show(visit, _CHANGE)


async def change(visit: Visit) -> Response:
    """Ends all other sessions of the account."""
    present, password = visit.password("password"), visit.password("new_password")
    wrong = {} if present else {"password": "password_missing"}
    if wrong := wrong | password_problems(password, "new_password"):
        return account_form.show(visit, _CHANGE, 422, wrong=wrong)
    try:
        await visit.api.change_password(present, password)
    except Refused as refused:
        return account_form.again(visit, _CHANGE, refused, chosen="new_password")
    visit.session.notice = {"kind": "password_changed"}
    return visit.redirect("/account")


async def show_request(visit: Visit) -> Response:
    return account_form.show(visit, _ASK, email="")


async def request_mail(visit: Visit) -> Response:
    """The answer is the same whether the address has an account or not."""
    email = visit.field("email")
    if wrong := mail_problems(email):
        return account_form.show(visit, _ASK, 422, email=email, wrong=wrong)
    try:
        await visit.api.request_reset(email)
    except Refused as refused:
        return account_form.again(visit, _ASK, refused, email=email)
    visit.session.notice = {"kind": "reset_requested"}
    return visit.redirect("/reset/new")


async def show_choice(visit: Visit) -> Response:
    return account_form.show(visit, _CHOOSE, token="")


async def choose(visit: Visit) -> Response:
    """Ends all sessions of the account, this browser's among them if it is the same account's."""
    token, password = token_of(visit.field("token")), visit.password("password")
    wrong = {} if token else {"token": "token_missing"}
    if wrong := wrong | password_problems(password):
        return account_form.show(visit, _CHOOSE, 422, token=token, wrong=wrong)
    try:
        await visit.api.reset_password(token, password)
    except Refused as refused:
        return account_form.again(visit, _CHOOSE, refused, token=token)
    if visit.session.is_account:
        visit.session.end()
    visit.session.notice = {"kind": "password_chosen"}
    return visit.redirect("/login")


async def show_confirmation(visit: Visit) -> Response:
    return account_form.show(visit, _CONFIRM, token="")


async def confirm(visit: Visit) -> Response:
    """By a button: programs that look at a mail's links must not use up the token."""
    token = token_of(visit.field("token"))
    if not token:
        return account_form.show(visit, _CONFIRM, 422, token="", wrong={"token": "token_missing"})
    try:
        await visit.api.confirm_address(token)
    except Refused as refused:
        return account_form.again(visit, _CONFIRM, refused, token=token)
    visit.session.notice = {"kind": "confirmed"}
    return visit.redirect("/account")
