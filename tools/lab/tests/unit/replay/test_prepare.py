"""Before a replay, it is found out what is left to play, and only that is put on sale."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.replay.journal import Journal
from lab.replay.plan import Placed, Sale, plan
from lab.replay.prepare import Prepared, prepare
from shop.errors import ShopError
from tools.lab.tests.invoice_files import ReadInvoices, row

ID = "01a1fbbe-d185-7793-91b9-54ab7d2bd0c3"


class Shop:
    """It has one order, in these states one after the other, and no product yet."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.put: list[dict[str, Any]] = []
        self.is_down = False

    async def prepare(self, file: ReadInvoices, journal: Journal | None) -> Prepared:
        steps = plan(file(row("1"), row("2", sku="71053", quantity=4)).invoices)
        transport = httpx.MockTransport(self._answer)
        async with httpx.AsyncClient(base_url="http://shop", transport=transport) as admin:
            return await prepare(admin, steps, journal, Decimal(1), timeout=5)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ReadTimeout("too slow")
        if request.url.path == "/v1/orders":
            order = {"order_id": ID, "status": self.statuses.pop(0), "paid_at": None}
            return httpx.Response(200, json={"items": [order]})
        if request.method == "GET":
            return httpx.Response(200, json={"items": []})
        self.put = json.loads(request.content)["items"]
        return httpx.Response(200, json={"created": len(self.put), "changed": 0, "unchanged": 0})


@pytest.fixture
def journal(tmp_path: Path, invoices_of: ReadInvoices) -> Journal:
    """An earlier replay has placed the order of invoice 1."""
    journal = Journal(tmp_path / "journal")
    journal.placed(invoices_of(row("1")).invoices[0], ID)
    return journal


async def test_only_what_is_left_is_put_on_sale(journal: Journal, invoices_of: ReadInvoices) -> None:
    shop = Shop("paid")

    ready = await shop.prepare(invoices_of, journal)

    assert [type(step) for step in ready.steps] == [Placed, Sale]
    assert [(item["sku"], item["stock"]) for item in shop.put] == [("71053", 4)]
    assert set(ready.offers) == {"71053"}


async def test_an_order_that_a_killed_replay_left_pending_gets_the_time_to_end(
    journal: Journal, invoices_of: ReadInvoices
) -> None:
    ready = await Shop("pending", "paid").prepare(invoices_of, journal)

    [placed, _] = ready.steps
    assert isinstance(placed, Placed)
    assert placed.order.status == "paid"


async def test_without_a_journal_all_is_played(invoices_of: ReadInvoices) -> None:
    shop = Shop()

    ready = await shop.prepare(invoices_of, None)

    assert [type(step) for step in ready.steps] == [Sale, Sale]
    assert len(shop.put) == 2


async def test_a_shop_that_stops_answering_is_reported_in_one_line(invoices_of: ReadInvoices) -> None:
    shop = Shop()
    shop.is_down = True

    with pytest.raises(ShopError, match=r"stopped answering .*: look at `shop status`, then replay again$"):
        await shop.prepare(invoices_of, None)
