"""What the gateway sends here because no other route of it takes the path."""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from storefront.api import Refused
from storefront.pages import Pages, Visit

PATH = "/not-found"  # the gateway puts it before the path that was asked for


def routes(pages: Pages) -> list[Route]:
    return [pages.get(PATH + "{path:path}", say_so)]


async def say_so(visit: Visit) -> Response:
    """A page for people. A program, which may have misspelt a path of the API, gets a problem document."""
    if "text/html" in visit.request.headers.get("accept", ""):
        visit.here = visit.path("path") or "/"
        raise Refused(404)
    problem = {"type": "about:blank", "title": "Not Found", "status": 404}
    return JSONResponse(problem, 404, media_type="application/problem+json")
