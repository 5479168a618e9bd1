"""The catalogue for everybody: lists, searches, bulk reads and single products; no token is needed."""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from chassis.identity import require
from chassis.problems import NO_NUL, RESPONSES, NotFound, Unprocessable
from chassis.service import part
from contracts import Sku, is_sku
from product.catalogue import Catalogue, Sought
from product.domain import Status
from product.models import Category, Price, Product, ProductPage
from product.paging import Sort
from product.search import search
from product.spelling import Vocabulary, respell
from product.turns import Turns

_MOST_AT_ONCE = 1000
JSON = "application/json"
_admin = require("catalogue:write")

SkuInPath = Annotated[Sku, Path()]
Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=NO_NUL,
        description="Words to find, as one types them into a search engine: quotes, `or` and `-` work.",
        examples=["red lantern"],
    ),
]


class Listing(BaseModel):
    """What a list may be asked for."""

    model_config = ConfigDict(extra="forbid")

    sku: Annotated[
        list[Sku],
        Field(
            max_length=_MOST_AT_ONCE,
            description="Just these products, retired ones included; unknown ones are absent. Goes alone.",
        ),
    ] = []
    q: Words | None = None
    sort: Annotated[Sort | None, Field(description="By name unless given; a search by relevance.")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str | None, Field(max_length=1000, description="As in the `next` of a page.")] = None
    category: Category | None = None
    price_min: Price | None = None
    price_max: Price | None = None
    in_stock: bool | None = None
    status: Annotated[Status | None, Field(description="`retired` is for administrators.")] = None


class BulkFirst(APIRoute):
    """Answers `?sku=` before FastAPI looks at all that a list may be asked for: it is read in every
    checkout."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            if b"sku=" in request.scope["query_string"]:
                return await _bulk(request)
            return await handle(request)

        return answer


router = APIRouter(prefix="/v1/products", tags=["catalogue"])
lists = APIRouter(prefix="/v1/products", tags=["catalogue"], route_class=BulkFirst)


async def _bulk(request: Request) -> Response:
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    skus = [value for name, value in asked if name == "sku" and is_sku(value)]
    if len(skus) < len(asked) or len(skus) > _MOST_AT_ONCE:
        raise Unprocessable(
            f"`sku` is a stock code, cannot be combined with other filters, at most {_MOST_AT_ONCE} values."
        )
    catalogue: Catalogue = request.app.state.catalogue
    return Response(await catalogue.bulk(skus), media_type=JSON)


@lists.get(
    "",
    summary="List and search products",
    response_model=ProductPage,
    responses={status: RESPONSES[status] for status in (401, 403, 503)},
)
async def list_products(
    request: Request,
    listing: Annotated[Listing, Query()],
    catalogue: Annotated[Catalogue, Depends(part("catalogue"))],
    vocabulary: Annotated[Vocabulary, Depends(part("vocabulary"))],
    turns: Annotated[Turns, Depends(part("turns"))],
) -> Response:
    """Pages of what is for sale. A search that finds nothing is tried again with its misspelt words
    corrected, and `corrected` says so."""
    if listing.status == "retired":
        await _admin(request)
    asked = listing.model_dump(exclude_none=True, exclude={"sku"})
    sought = Sought(**{"sort": "relevance" if listing.q else "name", **asked})
    async with turns.turn():
        found, corrected = await search(catalogue, vocabulary, sought)
    if corrected:
        asked["q"] = respell(asked["q"], corrected)
    following = None
    if found.cursor is not None:
        following = f"{request.url.path}?{urlencode({**asked, 'cursor': found.cursor})}"
    content = orjson.dumps({"items": found.items, "next": following, "corrected": corrected})
    return Response(content, media_type=JSON)


@router.get(
    "/{sku}",
    summary="Read a product",
    response_model=Product,
    responses={
        304: {"description": "Not changed since the ETag that was sent."},
        404: RESPONSES[404],
        503: RESPONSES[503],
    },
)
async def get_product(
    sku: SkuInPath,
    catalogue: Annotated[Catalogue, Depends(part("catalogue"))],
    if_none_match: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """One product, retired ones included."""
    content = await catalogue.one(sku)
    if content is None:
        raise NotFound("There is no such product.")
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=JSON, headers=headers)
