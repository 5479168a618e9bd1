"""Home, categories, search, and the page of a product."""

import asyncio
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.responses import Response
from starlette.routing import Route

from storefront import filters
from storefront.api import Api, Json, new_key
from storefront.filters import PRICE, address
from storefront.locales import decimal_amount, minor_units
from storefront.pages import Pages, Visit
from storefront.templates import picture

PAGE = 24
_MORE_CALLS = 3
_ENTERED_PRICE = ("from", "to")
_NEWEST = 8
_PRESENTS: dict[str, str | int] = {"sort": "price", "in_stock": "true", "price_min": 1, "limit": 4}
_SORTS = ("relevance", "name", "price", "-price", "newest")
_FILTERS = ("q", "sort", *PRICE, "in_stock", "cursor")
# What the API takes: anything longer is a page that does not exist.
_LONGEST = {"q": 200, "cursor": 2000}
_LONGEST_TYPED = 80
MOST_PIECES = 99


def routes(pages: Pages) -> list[Route]:
    return [
        pages.get("/", home),
        pages.get("/search", search),
        pages.get("/suggest", suggest),
        pages.get("/c/{category}", search),
        pages.get("/p/{sku}", product),
    ]


async def home(visit: Visit) -> Response:
    newest, cheapest, categories = await asyncio.gather(
        visit.api.products({"sort": "newest", "limit": _NEWEST}),
        visit.api.products(_PRESENTS),
        visit.api.categories(),
    )
    return visit.page(
        "home.html", categories=categories, products=newest["items"], presents=cheapest["items"]
    )


async def search(visit: Visit) -> Response:
    """Everything that narrows the list is in the URL."""
    category = visit.request.path_params.get("category")
    given = visit.request.query_params
    wanted = _wanted(given.multi_items())
    path = visit.own_path
    if any(name in given for name in _ENTERED_PRICE):
        return visit.redirect(address(path, _with_entered_prices(wanted, given)))
    kept = {name: value for name, value in wanted.items() if name != "cursor"}
    narrowed = wanted if category is None else {**wanted, "category": category}
    found, facets = await asyncio.gather(
        _page(visit.api, narrowed), visit.api.facets(filters.counted(narrowed))
    )
    chips = filters.chips(category, kept)
    is_nothing = not found["items"] and found["next"] is None
    ways_out = await _ways_out(visit.api, narrowed, chips) if is_nothing else []
    # Prices are compared as numbers: with several currencies they mean nothing.
    has_prices = facets and all(one["currency"] == facets["currency"] for one in found["items"])
    return visit.page(
        "list.html",
        category=category,
        wanted=wanted,
        facets=facets,
        categories=await _categories(visit.api, facets, category, kept),
        prices=filters.price_links(path, kept, facets["prices"]) if facets and has_prices else [],
        in_stock=filters.in_stock_link(path, kept),
        entered=_prices_to_enter(wanted, facets["currency"]) if facets and has_prices else None,
        products=found["items"],
        corrected=found["corrected"],
        sorts=_SORTS if "q" in wanted else _SORTS[1:],
        first_page=address(path, kept),
        next_page=_next_page(path, found["next"]),
        chips=chips,
        ways_out=ways_out,
        elsewhere=await visit.api.categories() if is_nothing and not ways_out else [],
    )


async def suggest(visit: Visit) -> Response:
    """What a search that is being typed may mean: a fragment for the script of the search field."""
    typed = visit.request.query_params.get("q", "").strip()[:_LONGEST_TYPED]
    found = await visit.api.suggestions(typed) if typed else {"items": [], "corrected": {}}
    corrected = found["corrected"]
    meant = " ".join(corrected.get(word, word) for word in typed.lower().split())
    return visit.fragment("suggestions.html", items=found["items"], corrected=[meant] if corrected else [])


async def product(visit: Visit) -> Response:
    found = await visit.api.product(visit.path("sku"))
    return visit.page(
        "product.html",
        product=found,
        key=new_key(),
        most=min(found["available"], MOST_PIECES),
        linked_data=_linked_data(visit.origin, found),
    )


async def _page(api: Api, narrowed: dict[str, str]) -> Json:
    """A page of products. The API stops after so many products that a filter has left out, and says where to
    go on; that is done here a few times, so that few pages are empty."""
    found = await api.products({**narrowed, "limit": PAGE})
    for _ in range(_MORE_CALLS):
        if found["items"] or found["next"] is None:
            break
        found = await api.products(dict(parse_qsl(urlsplit(found["next"]).query)))
    return found


async def _categories(
    api: Api, facets: Json | None, category: str | None, kept: dict[str, str]
) -> list[Json]:
    """With links that keep the other filters, since so the products are counted."""
    if facets is None:
        return [{**one, "href": filters.list_path(one["category"])} for one in await api.categories()]
    counted = facets["categories"]
    return [
        {**one, "href": address(filters.list_path(one["category"]), kept)}
        for one in sorted(counted, key=lambda one: one["category"])
        if one["count"] or one["category"] == category
    ]


async def _ways_out(api: Api, narrowed: dict[str, str], chips: list[Json]) -> list[Json]:
    """The filters without which there would be products, and how many."""
    if len(chips) < 2:
        return []
    counts = await asyncio.gather(
        *(
            api.facets(
                {name: text for name, text in filters.counted(narrowed).items() if name not in chip["names"]}
            )
            for chip in chips
        )
    )
    return [
        {**chip, "count": count["total"], "capped": count["capped"]}
        for chip, count in zip(chips, counts, strict=True)
        if count and count["total"]
    ]


def _wanted(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The filters of the URL that are known and not empty, each once."""
    known = {name: value.strip() for name, value in given if name in _FILTERS}
    wanted = {name: value[: _LONGEST.get(name, 20)] for name, value in known.items() if value}
    if wanted.get("sort") not in _SORTS or (wanted.get("sort") == "relevance" and "q" not in wanted):
        wanted.pop("sort", None)
    if wanted.get("in_stock") != "true":
        wanted.pop("in_stock", None)
    for name in PRICE:
        if not wanted.get(name, "0").isdecimal():
            del wanted[name]
    return wanted


def _with_entered_prices(wanted: dict[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The filters with the prices that were entered, in minor units; empty fields remove them."""
    others = {name: value for name, value in wanted.items() if name not in (*PRICE, "cursor")}
    currency = given.get("currency", "")
    prices = [minor_units(given.get(name, ""), currency) for name in _ENTERED_PRICE]
    if None not in prices:
        prices.sort()  # the wrong way round, they mean the same
    return others | {name: str(price) for name, price in zip(PRICE, prices, strict=True) if price is not None}


def _prices_to_enter(wanted: dict[str, str], currency: str | None) -> Json | None:
    """What the price fields show, in the currency's units."""
    if currency is None:
        return None
    shown = [decimal_amount(int(wanted[name]), currency) if name in wanted else "" for name in PRICE]
    return {"currency": currency, **dict(zip(_ENTERED_PRICE, shown, strict=True))}


def _next_page(path: str, following: str | None) -> str | None:
    """The page that follows, of the API's link to it, in which misspelt words are corrected."""
    if following is None:
        return None
    return address(path, _wanted(parse_qsl(urlsplit(following).query)))


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
