"""The cart as its shopper sees it: its lines beside what product says of them."""

from collections.abc import Mapping
from typing import Any

_NOT_TOLD: dict[str, Any] = dict.fromkeys(("name", "price", "currency", "total", "available", "status"))
_UNKNOWN = {**_NOT_TOLD, "available": 0, "status": "unknown"}


def shown(items: Mapping[str, int], products: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The whole cart. Products that product does not know have no price and cannot be ordered."""
    lines = [_line(sku, items[sku], products.get(sku)) for sku in sorted(items)]
    currencies = {line["currency"] for line in lines if line["currency"] is not None}
    currency = currencies.pop() if len(currencies) == 1 else None
    total = None if currencies else sum(line["total"] or 0 for line in lines)
    return {"items": lines, "total": total, "currency": currency, "degraded": False, "reason": None}


def shown_without_prices(items: Mapping[str, int], reason: str) -> dict[str, Any]:
    """What can be said of the cart while product does not answer."""
    lines = [{"sku": sku, "quantity": items[sku], **_NOT_TOLD} for sku in sorted(items)]
    return {"items": lines, "total": None, "currency": None, "degraded": True, "reason": reason}


def _line(sku: str, quantity: int, product: Mapping[str, Any] | None) -> dict[str, Any]:
    if product is None:
        return {"sku": sku, "quantity": quantity, **_UNKNOWN}
    told = {name: product[name] for name in ("name", "price", "currency", "available", "status")}
    return {"sku": sku, "quantity": quantity, **told, "total": product["price"] * quantity}
