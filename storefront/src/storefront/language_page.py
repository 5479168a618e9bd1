"""The choice of a language, which a cookie of its own keeps: it is no secret, and outlives the session."""

from starlette.responses import Response
from starlette.routing import Route

from storefront.locales import COOKIE
from storefront.pages import Pages, Visit

_YEAR = 365 * 24 * 3600


def routes(pages: Pages) -> list[Route]:
    return [pages.post("/language", choose)]


async def choose(visit: Visit) -> Response:
    """Back to the page that it was chosen on, if that is one of ours."""
    try:
        response = visit.redirect(visit.field("here"))
    except ValueError:
        response = visit.redirect("/")
    code = visit.field("language")
    if code in visit.templates.codes:
        response.set_cookie(
            COOKIE, code, max_age=_YEAR, path="/", secure=visit.is_secure, httponly=True, samesite="lax"
        )
    return response
