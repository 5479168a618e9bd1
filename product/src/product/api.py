"""The catalogue's public endpoints: lists, searches, bulk reads and single products; no token is needed."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.routing import APIRoute

from chassis.http.identity import require
from chassis.http.problems import RESPONSES, NotFound, Unprocessable
from chassis.http.provided import Provided, registry
from chassis.http.routes import refuse_unknown_parameters
from contracts import is_sku
from product.browsing_schemas import MOST_SKUS, ListParameters, ProductPage
from product.catalogue import Catalogue
from product.schemas import Product, SkuInPath
from product.search import SearchLimit, search
from product.vocabulary import Vocabulary, respell

JSON = "application/json"
UNKNOWN = "Product not found."
NOT_MODIFIED: dict[str, Any] = {"description": "Not modified since the ETag that was sent."}
LIST_MAX_AGE = 5  # seconds
_admin = require("catalogue:write")


class BulkReadRoute(APIRoute):
    """Handles `?sku=`, which every checkout reads, without FastAPI's validation of all the list's
    parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bulk_or_list(request: Request) -> Response:
            if b"sku=" in request.scope["query_string"]:
                return await _bulk(request)
            return await handle(request)

        return bulk_or_list


router = APIRouter(prefix="/v1/products", tags=["catalogue"])
lists = APIRouter(prefix="/v1/products", tags=["catalogue"], route_class=BulkReadRoute)


async def _bulk(request: Request) -> Response:
    parameters = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    skus = [value for name, value in parameters if name == "sku" and is_sku(value)]
    if len(skus) < len(parameters) or len(skus) > MOST_SKUS:
        refuse_unknown_parameters(request, request.scope["route"])
        raise Unprocessable(
            f"`sku` is a stock code, cannot be combined with other filters, at most {MOST_SKUS} values."
        )
    catalogue = registry(request.app)[Catalogue]
    return Response(await catalogue.bulk(skus), media_type=JSON)


@lists.get(
    "",
    summary="List and search products",
    response_model=ProductPage,
    responses={status: RESPONSES[status] for status in (401, 403, 503)},
)
async def list_products(
    request: Request,
    parameters: Annotated[ListParameters, Query()],
    catalogue: Provided[Catalogue],
    vocabulary: Provided[Vocabulary],
    limit: Provided[SearchLimit],
) -> Response:
    """Pages of the products for sale. A search that finds nothing is repeated with its misspelt words
    corrected; `corrected` lists them. By relevance at most 1,000 matches are ranked."""
    if parameters.status == "retired":
        await _admin(request)
    async with limit.slot():
        page, corrected = await search(catalogue, vocabulary, parameters)
    following = None
    if page.cursor is not None:
        given = parameters.model_dump(exclude_none=True, exclude={"sku"})
        if corrected:
            given["q"] = respell(given["q"], corrected)
        following = f"{request.url.path}?{urlencode({**given, 'cursor': page.cursor})}"
    content = orjson.dumps({"items": page.items, "next": following, "corrected": corrected})
    cached = "no-store" if parameters.status == "retired" else f"public, max-age={LIST_MAX_AGE}"
    return Response(content, media_type=JSON, headers={"Cache-Control": cached})


@router.get(
    "/{sku}",
    summary="Read a product",
    response_model=Product,
    responses={
        304: NOT_MODIFIED,
        404: RESPONSES[404],
        503: RESPONSES[503],
    },
)
async def get_product(
    sku: SkuInPath,
    catalogue: Provided[Catalogue],
    if_none_match: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """One product, retired ones included."""
    content = await catalogue.one(sku)
    if content is None:
        raise NotFound(UNKNOWN)
    return unless_modified(content, if_none_match, "no-cache")


def unless_modified(content: bytes, if_none_match: str, cache_control: str) -> Response:
    """The content with its ETag, or 304 if that is among those that were sent."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": cache_control}
    if etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=JSON, headers=headers)
