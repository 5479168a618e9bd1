"""Home, categories, search, and the page of a product."""

import asyncio
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.responses import Response
from starlette.routing import Route

from storefront.api import Json, new_key
from storefront.locales import decimal_amount
from storefront.pages import Pages, Visit
from storefront.templates import picture

_PRICE = ("price_min", "price_max")
PAGE = 24
_NEWEST = 8
_SORTS = ("relevance", "name", "price", "-price", "newest")
_FILTERS = ("q", "sort", "price_min", "price_max", "in_stock", "cursor")
# What the API takes: anything longer is a page that does not exist.
_LONGEST = {"q": 200, "cursor": 2000}
MOST_PIECES = 99


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/", home),
        pages.get("/search", search),
        pages.get("/c/{category}", search),
        pages.get("/p/{sku}", product),
    ]


async def home(visit: Visit) -> Response:
    newest = await visit.api.products({"sort": "newest", "limit": _NEWEST})
    categories = await visit.api.categories()
    return visit.page("home.html", categories=categories, products=newest["items"])


async def search(visit: Visit) -> Response:
    """Everything that narrows the list is in the URL."""
    category = visit.request.path_params.get("category")
    wanted = _wanted(visit.request.query_params.multi_items())
    kept = {name: value for name, value in wanted.items() if name != "cursor"}
    narrowed = wanted if category is None else {**wanted, "category": category}
    counted = {name: value for name, value in narrowed.items() if name not in ("sort", "cursor")}
    found, facets = await asyncio.gather(
        visit.api.products({**narrowed, "limit": PAGE}), visit.api.facets(counted)
    )
    path = visit.request.url.path
    return visit.page(
        "list.html",
        category=category,
        wanted=wanted,
        categories=facets["categories"] if facets else await visit.api.categories(),
        facets=facets,
        prices=_price_links(path, kept, facets["prices"]) if facets else [],
        products=found["items"],
        corrected=found["corrected"],
        sorts=_SORTS if "q" in wanted else _SORTS[1:],
        first_page=address(path, kept),
        next_page=_next_page(path, found["next"]),
        chips=_chips(path, category, kept),
    )


async def product(visit: Visit) -> Response:
    found = await visit.api.product(visit.path("sku"))
    return visit.page(
        "product.html",
        product=found,
        key=new_key(),
        most=min(found["available"], MOST_PIECES),
        linked_data=_linked_data(visit.origin, found),
    )


def address(path: str, query: dict[str, str]) -> str:
    """A path and a query as one."""
    return f"{path}?{urlencode(query)}" if query else path


def _wanted(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The filters of the URL that are known and not empty, each once."""
    known = {name: value.strip() for name, value in given if name in _FILTERS}
    wanted = {name: value[: _LONGEST.get(name, 20)] for name, value in known.items() if value}
    if wanted.get("sort") not in _SORTS or (wanted.get("sort") == "relevance" and "q" not in wanted):
        wanted.pop("sort", None)
    if wanted.get("in_stock") != "true":
        wanted.pop("in_stock", None)
    for name in ("price_min", "price_max"):
        if not wanted.get(name, "0").isdecimal():
            del wanted[name]
    return wanted


def _next_page(path: str, following: str | None) -> str | None:
    """The page that follows, of the API's link to it, in which misspelt words are corrected."""
    if following is None:
        return None
    return address(path, _wanted(parse_qsl(urlsplit(following).query)))


def _price_links(path: str, kept: dict[str, str], ranges: list[Json]) -> list[Json]:
    """The price ranges that have products, each with its list."""
    others = {name: value for name, value in kept.items() if name not in _PRICE}
    links = []
    for one in ranges:
        bounds = {name: str(one[name]) for name in _PRICE if one[name] is not None}
        if one["count"]:
            links.append({**one, "href": address(path, others | bounds)})
    return links


def _chips(path: str, category: str | None, kept: dict[str, str]) -> list[Json]:
    """The filters that can be removed, each with the list without it."""
    chips: list[Json] = []
    if category is not None:
        chips.append({"name": "category", "value": category, "without": address("/search", kept)})
    for names in (("q",), ("in_stock",), _PRICE):
        if set(names) & kept.keys():
            without = {other: value for other, value in kept.items() if other not in names}
            chips.append({"name": names[0], "value": kept.get(names[0]), "without": address(path, without)})
    return chips


def _linked_data(origin: str, product: Json) -> Json:
    """For search engines. Source: https://schema.org/Product."""
    is_sold = product["status"] == "active" and product["available"]
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": product["name"],
        "sku": product["sku"],
        "description": product["description"],
        "image": origin + picture(product),
        "offers": {
            "@type": "Offer",
            "url": f"{origin}/p/{quote(product['sku'], safe='')}",
            "price": decimal_amount(product["price"], product["currency"]),
            "priceCurrency": product["currency"],
            "availability": f"https://schema.org/{'InStock' if is_sold else 'OutOfStock'}",
        },
    }
