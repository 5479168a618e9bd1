"""What a shop's pages need beside lists: categories, facets and suggestions; no token is needed."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Response

from chassis.http.problems import RESPONSES
from chassis.http.provided import Provided
from product.api import JSON, NOT_MODIFIED, unless_modified
from product.browsing_schemas import CategoryList, Facets, Filters, SuggestionParameters, Suggestions
from product.catalogue import Catalogue
from product.counts import Counts
from product.search import SearchLimit, facets, suggest
from product.vocabulary import Vocabulary

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get(
    "/categories",
    summary="List the categories",
    response_model=CategoryList,
    responses={304: NOT_MODIFIED, 503: RESPONSES[503]},
)
async def list_categories(
    counts: Provided[Counts], if_none_match: Annotated[str, Header(max_length=1000)] = ""
) -> Response:
    """The categories of the products for sale, as they were some seconds ago."""
    content = orjson.dumps({"items": (await counts.shelves()).categories()})
    return unless_modified(content, if_none_match, "public, max-age=30")


@router.get(
    "/products/facets",
    summary="Count what each filter would list",
    response_model=Facets,
    responses={503: RESPONSES[503]},
)
async def get_facets(
    filters: Annotated[Filters, Query()],
    counts: Provided[Counts],
    vocabulary: Provided[Vocabulary],
    limit: Provided[SearchLimit],
) -> Response:
    """Takes the list's filters. Without a search the counts are some seconds old."""
    async with limit.slot():
        content = await facets(counts, vocabulary, filters)
    return _public(orjson.dumps(content), 10)


@router.get(
    "/products/suggestions",
    summary="Suggest products while a search is typed",
    response_model=Suggestions,
    responses={503: RESPONSES[503]},
)
async def list_suggestions(
    typed: Annotated[SuggestionParameters, Query()],
    catalogue: Provided[Catalogue],
    vocabulary: Provided[Vocabulary],
    limit: Provided[SearchLimit],
) -> Response:
    """The last word may be incomplete, and words may be misspelt; `corrected` lists those. A stock code
    may be incomplete, too, and in lower case."""
    async with limit.slot():
        items, corrected = await suggest(catalogue, vocabulary, typed.q)
    return _public(orjson.dumps({"items": items, "corrected": corrected}), 10)


def _public(content: bytes, seconds: int) -> Response:
    return Response(content, media_type=JSON, headers={"Cache-Control": f"public, max-age={seconds}"})
