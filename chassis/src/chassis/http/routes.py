"""What all routes of all services have in common: nothing that a client sends is ignored, and HEAD works
wherever GET does."""

from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

from chassis.http.problems import Unprocessable

EVENT_STREAM = "text/event-stream"


async def refuse_ignored(request: Request) -> None:
    """A dependency of every route. Raises Unprocessable if the request has query parameters that the route
    does not know, such as a misspelt filter, or a body although the route takes none."""
    route: APIRoute = request.scope["route"]
    if request.scope["query_string"]:
        refuse_unknown_parameters(request, route)
    if not _takes_body(route) and await _has_body(request):
        errors = [{"pointer": "", "detail": "This request takes no body."}]
        raise Unprocessable("The request is not valid.", errors=errors)


def refuse_unknown_parameters(request: Request, route: APIRoute) -> None:
    """Raises Unprocessable, which names the query parameters that the route does not know."""
    query = request.scope["query_string"].decode("latin-1")
    given = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if unknown := sorted(given.difference(_query_parameters(route.dependant))):
        errors = [{"in": "query", "name": name, "detail": "Unknown parameter."} for name in unknown]
        raise Unprocessable("The request is not valid.", errors=errors)


def _query_parameters(dependant: Dependant) -> Iterator[str]:
    """The names that a route and its dependencies declare, alone or as the fields of a model."""
    for parameter in dependant.query_params:
        declared = parameter.field_info.annotation
        if isinstance(declared, type) and issubclass(declared, BaseModel):
            yield from (field.alias or name for name, field in declared.model_fields.items())
        else:
            yield parameter.alias
    if isinstance(dependant.call, SecurityBase):
        scheme = dependant.call.model
        if isinstance(scheme, APIKey) and scheme.in_ is APIKeyIn.query:
            yield scheme.name
    for dependency in dependant.dependencies:
        yield from _query_parameters(dependency)


async def _has_body(request: Request) -> bool:
    """Whether the body says anything: many clients send an empty object where there is nothing to say."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return False
    return (await request.body()).strip() not in (b"", b"{}", b"null")


def _takes_body(route: APIRoute) -> bool:
    """A route that reads the raw body documents it in `openapi_extra`."""
    return route.body_field is not None or "requestBody" in (route.openapi_extra or {})


class HeadRoute(BaseRoute):
    """Answers HEAD as GET, without the content. An event stream has no HEAD: it would never end."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app.router
        self._routes: Sequence[BaseRoute] = app.router.routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            as_get = {**scope, "method": "GET"}
            for route in iter_route_contexts(self._routes):
                if route.matches(as_get)[0] is Match.FULL:
                    return Match.NONE if _streams(route) else Match.FULL, {}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_content(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_content)


def _streams(route: RouteContext) -> bool:
    return getattr(getattr(route, "response_class", None), "media_type", None) == EVENT_STREAM
