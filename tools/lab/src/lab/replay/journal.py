"""Which orders earlier replays of a file have placed in a shop, kept on this machine, so that the file's next
replay goes on where they ended. How an order has ended is not kept: the shop knows."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx

from lab.replay.invoices import Invoice
from lab.replay.plan import Order
from shop.http import checked_json
from shop.machine import project_root

IDS_IN_URL = 100  # orders that one request may list
_LINE = re.compile(r"([0-9a-f]{32}) ([0-9a-f-]{36})")


class Journal:
    """One line for each order: the invoice's fingerprint and the order's id. The last one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        matches = filter(None, map(_LINE.fullmatch, lines))
        self._orders = {match[1]: match[2] for match in matches}

    @classmethod
    def of(cls, secret: str, file: str) -> "Journal":
        """Of replays of the file with this name, in the shop that has this secret."""
        name = hmac.new(secret.encode(), file.encode(), hashlib.sha256).hexdigest()[:32]
        return cls(project_root() / ".local" / "replays" / name)

    @property
    def name(self) -> str:
        return self._path.name

    def placed(self, invoice: Invoice, order_id: str) -> None:
        """The invoice's order was accepted. Written at once, so that a killed replay leaves it, too."""
        self._orders[invoice.fingerprint] = order_id
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(f"\n{invoice.fingerprint} {order_id}")  # ends a line that a crash may have cut

    async def orders(self, admin: httpx.AsyncClient, invoices: Iterable[Invoice]) -> dict[str, Order]:
        """Those of the invoices' orders that the shop still has, by the invoice's number."""
        ids = {
            one.number: self._orders[one.fingerprint] for one in invoices if one.fingerprint in self._orders
        }
        orders: dict[str, Order] = {}
        wanted = list(ids.values())
        for start in range(0, len(wanted), IDS_IN_URL):
            parameters: Mapping[str, Any] = {"id": wanted[start : start + IDS_IN_URL], "limit": IDS_IN_URL}
            found = checked_json(await admin.get("/v1/orders", params=parameters))
            for one in found["items"]:
                order_id = one["order_id"]
                orders[order_id] = Order(order_id, one["status"], one["paid_at"] is not None)
        return {number: orders[order_id] for number, order_id in ids.items() if order_id in orders}
