"""What every page shares: the visit, its checks, and the pages for errors."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import httpx
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from contracts import COUNTRIES
from storefront import locales
from storefront.answers import Answers
from storefront.api import Api, Refused, segment
from storefront.locales import Language
from storefront.protection import is_from_a_form_of_ours
from storefront.renewals import Renewals
from storefront.session import Session, SessionCookies
from storefront.settings import Settings
from storefront.templates import Templates, asset

SEE_OTHER = 303
_PREFETCH = "prefetch.speculationrules"  # which links browsers may follow before they are clicked
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto")
_CLEAN = re.compile(r"[0-9A-Za-z.:]+(?:, ?[0-9A-Za-z.:]+)*\Z")
Handler = Callable[["Visit"], Awaitable[Response]]


@dataclass
class Visit:
    """One request, and who makes it. `here` are path and query of the page that she is on, to come
    back to."""

    request: Request
    session: Session
    language: Language
    api: Api
    templates: Templates
    origin: str
    is_secure: bool
    stripe_key: str
    form: FormData
    here: str

    def _(self, message: str) -> str:
        return self.language._(message)

    def field(self, name: str) -> str:
        """What was entered into a field of the form, or an empty text."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def password(self, name: str) -> str:
        """What was entered into a field for a password, where spaces count."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def next_page(self) -> str:
        """Where the shopper wants to go after this page: what `next` says, if that is a page of ours."""
        wanted = self.field("next") or self.request.query_params.get("next", "")
        return wanted if is_own_path(wanted) else "/account"

    @property
    def own_path(self) -> str:
        """The path of this page as it is in a URL: the scope's is decoded."""
        return quote(self.request.scope["path"])

    def path(self, name: str) -> str:
        """A part of the request's path."""
        return str(self.request.path_params[name])

    def page(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """The page. What is to be said once is said on it."""
        notice, self.session.notice = self.session.notice, None
        shown = {"visit": self, "notice": notice, "here": self.here, **values}
        shown["form_token"] = self.session.form_token()
        html = self.templates.render(self.language, template, shown)
        headers = {"Cache-Control": "private, no-cache", "Speculation-Rules": f'"{asset(_PREFETCH)}"'}
        return HTMLResponse(html, status, headers)

    def fragment(self, template: str, **values: Any) -> Response:
        """A part of a page, for a script. What is to be said once waits for a page."""
        html = self.templates.render(self.language, template, values)
        return HTMLResponse(
            html, headers={"Cache-Control": "private, max-age=10", "Vary": "Accept-Language, Cookie"}
        )

    def redirect(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        """To a page of the shop's own, which is then read with GET. Raises ValueError for another place."""
        if not is_own_path(path):
            raise ValueError(f"not a path: {path!r}")
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, SEE_OTHER)

    def log_in_first(self) -> Response:
        """To the page that asks to log in, which leads back to where the shopper is."""
        return self.redirect("/login", {"next": self.here})

    def product_path(self, sku: str) -> str:
        """Of the product's page. Raises `Refused` if no product can have this stock code."""
        return f"/p/{segment(sku)}"

    def country(self) -> str:
        """The likeliest one of the shopper: that of the language the browser prefers."""
        preferred = self.request.headers.get("accept-language", "").partition(",")[0]
        region = preferred.partition("-")[2].upper()
        return region if region in COUNTRIES else "GB"

    async def identify(self) -> None:
        """Make sure that the shopper is someone: if no one yet, a guest."""
        if not self.session.is_current:
            guest = await self.api.become_guest()
            self.session.begin(guest["access_token"], guest["expires_in"])


def for_accounts(handler: Handler) -> Handler:
    """The handler, for shoppers who have logged in; others are asked to, and come back."""

    async def checked(visit: Visit) -> Response:
        return await handler(visit) if visit.session.is_account else visit.log_in_first()

    return checked


class Pages:
    """Makes routes of handlers."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._answers = Answers()
        self._cookies = SessionCookies(settings)
        self._renewals = Renewals()
        self._languages = locales.languages()
        self._templates = Templates(self._languages, settings.origins[0])

    def get(self, path: str, handler: Handler) -> Route:
        return Route(path, self._endpoint(handler), methods=["GET"])

    def post(self, path: str, handler: Handler) -> Route:
        """A form: refused unless it is one of ours."""

        async def checked(visit: Visit) -> Response:
            visit.form = await visit.request.form(max_files=0, max_fields=100)
            if not is_from_a_form_of_ours(visit.request, visit.form, visit.session, self._settings.origins):
                return visit.page("errors/form.html", 403)
            return await handler(visit)

        return Route(path, self._endpoint(checked), methods=["POST"])

    async def not_found(self, request: Request, _: Exception) -> Response:
        """For a path that is no page's."""
        return await self._endpoint(_not_found)(request)

    async def crashed(self, request: Request, _: Exception) -> Response:
        """For what should not have happened."""
        return await self._endpoint(_crashed)(request)

    def _endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            session, stored = self._cookies.read(request)
            visit = self._visit(request, session)
            try:
                response = await handler(visit)
            except Refused as refused:
                response = _error_page(visit, refused)
            self._cookies.write(response, session, stored)
            return response

        return endpoint

    def _visit(self, request: Request, session: Session) -> Visit:
        return Visit(
            request=request,
            session=session,
            language=locales.choose(request, self._languages),
            api=Api(self._http, session, self._renewals, self._answers, _forwarded(request)),
            templates=self._templates,
            origin=self._settings.origins[0],
            is_secure=self._settings.secure,
            stripe_key=self._settings.stripe_publishable_key,
            form=FormData(),
            here=_here(request),
        )


async def _not_found(visit: Visit) -> Response:
    return visit.page("errors/not_found.html", 404)


async def _crashed(visit: Visit) -> Response:
    return visit.page("errors/unavailable.html", 500, wait=0)


def _error_page(visit: Visit, refused: Refused) -> Response:
    match refused.status:
        case 401:
            return _no_longer_known(visit)
        case 404 | 410 | 422 if visit.request.method == "GET":
            return visit.page("errors/not_found.html", 404)
        case 429:
            response = visit.page("errors/too_many.html", 429, wait=refused.retry_after)
        case _:
            response = visit.page("errors/unavailable.html", 503, wait=refused.retry_after)
    if refused.retry_after:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _no_longer_known(visit: Visit) -> Response:
    """The token was withdrawn, or is over. An account logs in again, a guest is no one in particular."""
    was_account = visit.session.is_account
    visit.session.end()
    if was_account:
        visit.session.notice = {"kind": "session_over"}
        return visit.log_in_first()
    return visit.redirect("/cart" if visit.request.method == "POST" else visit.own_path)


def is_own_path(text: str) -> bool:
    """Whether it is a path of the shop's own. Browsers take a backslash for a slash, and leave out tabs and
    line breaks (URL standard): then it could be another host."""
    return text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()


def _here(request: Request) -> str:
    """This page, or that of the form."""
    if request.method != "POST":
        return urlunsplit(("", "", quote(request.scope["path"]), request.url.query, ""))
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    return urlunsplit(("", "", page.path or "/", page.query, ""))


def _forwarded(request: Request) -> dict[str, str]:
    """The shopper's address, for the gateway's limits, and whether TLS was used, as the gateway says. What a
    client has put to the left of that can be anything: it is kept as far as it consists of addresses."""
    found = {name: _CLEAN.search(request.headers[name]) for name in _FORWARDED if name in request.headers}
    return {name: match[0] for name, match in found.items() if match}
