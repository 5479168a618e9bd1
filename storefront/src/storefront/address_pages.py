"""The account's address book."""

from uuid import UUID, uuid4

from starlette.responses import Response
from starlette.routing import Route

from storefront.address_form import (
    PARTS,
    address_fields,
    address_line,
    advice,
    labels,
    missing,
    postal_address,
    refused_fields,
)
from storefront.api import Json, Refused
from storefront.pages import Pages, Visit, for_accounts
from storefront.sentences import address_refusal

MOST_ADDRESSES = 20  # as auth allows
_BOOK = "/account/addresses"


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get(_BOOK, for_accounts(show_all)),
        pages.get(f"{_BOOK}/{{address}}", for_accounts(show)),
        pages.post(f"{_BOOK}/{{address}}", for_accounts(save)),
        pages.post(f"{_BOOK}/{{address}}/remove", for_accounts(remove)),
    ]


async def show_all(visit: Visit) -> Response:
    """The addresses, the default first, and the way to a new one, whose id is made here."""
    saved = await visit.api.addresses()
    lines = [{**one, "line": address_line(visit.language, one["address"])} for one in saved]
    new = uuid4() if len(saved) < MOST_ADDRESSES else None
    return visit.page("account/addresses.html", addresses=lines, new=new)


async def show(visit: Visit) -> Response:
    """The form of an address, empty for a new one."""
    address_id = _address_id(visit)
    found = [one for one in await visit.api.addresses() if one["address_id"] == address_id]
    entered = {**dict.fromkeys(PARTS, ""), **(found[0]["address"] if found else {"country": visit.country()})}
    return _form(visit, entered, is_default=bool(found and found[0]["is_default"]))


async def save(visit: Visit) -> Response:
    """Saves it, or shows the form again: with what is to be done, or with the country's fields."""
    address_id = _address_id(visit)
    entered = {name: visit.field(name) for name in PARTS}
    is_default = bool(visit.field("is_default"))
    if visit.field("update"):
        return _form(visit, entered, is_default=is_default)
    if wrong := missing(entered, address_fields(entered)):
        return _form(visit, entered, 422, is_default=is_default, wrong=wrong)
    try:
        await visit.api.put_address(address_id, postal_address(entered), is_default=is_default)
    except Refused as refused:
        return _refused(visit, refused, entered, is_default=is_default)
    visit.session.notice = {"kind": "address_saved"}
    return visit.redirect(_BOOK)


async def remove(visit: Visit) -> Response:
    await visit.api.remove_address(_address_id(visit))
    visit.session.notice = {"kind": "address_removed"}
    return visit.redirect(_BOOK)


def _address_id(visit: Visit) -> str:
    """Of the path, as the API writes it. Raises `Refused` with 404 for what is none."""
    try:
        return str(UUID(visit.path("address")))
    except ValueError:
        raise Refused(404) from None


def _refused(visit: Visit, refused: Refused, entered: dict[str, str], *, is_default: bool) -> Response:
    if refused.status == 401:
        raise refused
    wrong = refused_fields(refused.members.get("errors", []), address_fields(entered))
    warning = "" if wrong else address_refusal(visit.language, refused)
    status = 503 if refused.status >= 500 else refused.status
    response = _form(visit, entered, status, is_default=is_default, wrong=wrong, warning=warning)
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _form(
    visit: Visit,
    entered: dict[str, str],
    status: int = 200,
    *,
    is_default: bool,
    wrong: list[str] | None = None,
    warning: str = "",
) -> Response:
    shown: Json = {"entered": entered, "is_default": is_default, "wrong": wrong or [], "warning": warning}
    return visit.page(
        "account/address.html",
        status,
        **shown,
        fields=address_fields(entered),
        labels=labels(visit.language, entered["country"]),
        advice=advice(visit.language),
        countries=visit.language.countries(),
        is_updated=bool(visit.field("update")),
    )
