"""The filters of a list as links: the URL is the list's state."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from storefront.api import Json

PRICE = ("price_min", "price_max")
_NOT_COUNTED = ("sort", "cursor")


def address(path: str, query: Mapping[str, str]) -> str:
    """A path and a query as one."""
    return f"{path}?{urlencode(query)}" if query else path


def list_path(category: str) -> str:
    """Of a category's list."""
    return f"/c/{quote(category, safe='')}"


def counted(narrowed: Mapping[str, str]) -> dict[str, str]:
    """Of a list's filters those that its facets are counted with."""
    return {name: value for name, value in narrowed.items() if name not in _NOT_COUNTED}


def price_links(path: str, kept: Mapping[str, str], ranges: list[Json]) -> list[Json]:
    """The price ranges that have products, each with its list; `is_chosen`: that is this list."""
    others = _without(kept, PRICE)
    links = []
    for one in ranges:
        bounds = {name: str(one[name]) for name in PRICE if one[name] is not None}
        if one["count"]:
            is_chosen = bounds == {name: kept[name] for name in PRICE if name in kept}
            links.append({**one, "href": address(path, others | bounds), "is_chosen": is_chosen})
    return links


def in_stock_link(path: str, kept: Mapping[str, str]) -> str:
    """The list of what is in stock."""
    return address(path, {**kept, "in_stock": "true"})


def chips(category: str | None, kept: Mapping[str, str]) -> list[Json]:
    """The filters that can be removed, each with the list without it and its `names` in the API."""
    path = "/search" if category is None else list_path(category)
    found: list[Json] = []
    if category is not None:
        found.append({"kind": "category", "names": ("category",), "without": address("/search", kept)})
    for kind, names in (("q", ("q",)), ("in_stock", ("in_stock",)), ("price", PRICE)):
        if any(name in kept for name in names):
            found.append({"kind": kind, "names": names, "without": address(path, _without(kept, names))})
    return found


def _without(kept: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in kept.items() if name not in names}
