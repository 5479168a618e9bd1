"""What the warehouse does with an order, and how it goes through the orders."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from standins.warehouse.settings import Settings
from standins.warehouse.work import Failed, Rules, Warehouse

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULES = Rules(frozenset({"MUG", "BOWL"}), timedelta(seconds=20), timedelta(seconds=10))
ORDER: dict[str, Any] = {
    "order_id": "0190",
    "status": "paid",
    "lines": [{"sku": "MUG", "quantity": 1}],
    "paid_at": "2026-11-20T11:59:30Z",
    "fulfilled_at": None,
    "returns": [],
}
RETURN = {"return_id": "0191", "state": "requested", "requested_at": "2026-11-20T11:59:45Z"}
SHIPPED = {**ORDER, "fulfilled_at": "2026-11-20T11:59:40Z"}


def test_a_paid_order_is_shipped_after_a_while() -> None:
    assert RULES.due(ORDER, NOW) == ["/v1/orders/0190/fulfil"]
    assert RULES.due({**ORDER, "paid_at": "2026-11-20T11:59:41Z"}, NOW) == []


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_only_a_paid_order_is_shipped(status: str) -> None:
    assert RULES.due({**ORDER, "status": status}, NOW) == []


def test_an_order_with_anything_that_is_not_in_the_catalogue_is_left_alone() -> None:
    lines = [*ORDER["lines"], {"sku": "OF-A-TEST", "quantity": 1}]
    assert RULES.due({**ORDER, "lines": lines}, NOW) == []
    assert RULES.due({**SHIPPED, "lines": lines, "returns": [RETURN]}, NOW) == []


def test_a_requested_return_is_received_after_a_while() -> None:
    assert RULES.due({**SHIPPED, "returns": [RETURN]}, NOW) == ["/v1/orders/0190/returns/0191/receive"]
    early = {**RETURN, "requested_at": "2026-11-20T11:59:51Z"}
    assert RULES.due({**SHIPPED, "returns": [early]}, NOW) == []


@pytest.mark.parametrize("state", ["received", "granted", "rejected", "withdrawn"])
def test_no_other_return_is_received(state: str) -> None:
    assert RULES.due({**SHIPPED, "returns": [{**RETURN, "state": state}]}, NOW) == []


class Shop:
    """Answers with pages of one order each, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.orders = [{**ORDER, "order_id": str(number)} for number in (3, 2, 1)]
        self.asked: list[str] = []
        self.refused: dict[str, int] = {}

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        if status := self.refused.pop(request.path, None):
            return web.json_response({}, status=status)
        if request.path == "/v1/token":
            return web.json_response({"access_token": "t"})
        if request.method == "POST":
            return web.json_response({})
        before = int(request.query.get("before", "4"))
        page = [order for order in self.orders if int(order["order_id"]) < before][:1]
        following = page[0]["order_id"] if page and page[0]["order_id"] != "1" else None
        return web.json_response({"items": page, "next": following})

    def done(self) -> list[str]:
        return [one for one in self.asked if one.startswith("POST /v1/orders")]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def warehouse(shop: Shop) -> AsyncIterator[Warehouse]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.answer)
    async with TestServer(app) as server, aiohttp.ClientSession(str(server.make_url(""))) as http:
        settings = Settings(
            gateway_url="", email="w@example.com", password="p", catalogue=Path("/nowhere"), page=1
        )
        yield Warehouse(settings, RULES, http)


async def test_a_round_reads_two_pages_however_many_there_are(warehouse: Warehouse, shop: Shop) -> None:
    await warehouse.round()
    await warehouse.round()
    await warehouse.round()
    asked = [one.removeprefix("GET /v1/orders?status=paid&limit=1") for one in shop.asked]
    read = [one for one in asked if not one.startswith("POST")]
    assert read == ["", "", "&before=3", "", "&before=2"]
    assert {f"POST /v1/orders/{number}/fulfil" for number in (1, 2, 3)} == set(shop.done())


@pytest.mark.parametrize("status", [404, 409, 422, 503])
async def test_an_order_that_is_refused_does_not_stop_the_others(
    warehouse: Warehouse, shop: Shop, status: int
) -> None:
    await warehouse.round()
    shop.refused["/v1/orders/3/fulfil"] = status
    await warehouse.round()
    assert shop.done()[-1] == "POST /v1/orders/2/fulfil"


async def test_after_the_token_has_expired_it_logs_in_again(warehouse: Warehouse, shop: Shop) -> None:
    await warehouse.round()
    shop.refused["/v1/orders"] = 401
    with pytest.raises(Failed):
        await warehouse.round()
    await warehouse.round()
    assert shop.asked.count("POST /v1/token") == 2


def test_the_pause_grows_with_failures_and_has_a_bound() -> None:
    settings = Settings(gateway_url="", email="", password="", catalogue=Path("/nowhere"))
    warehouse = Warehouse(settings, RULES, http=None)  # type: ignore[arg-type]
    assert warehouse._pause(0) == settings.every
    assert all(1 <= warehouse._pause(failures) <= 30 for failures in range(2000))
    assert max(warehouse._pause(20) for _ in range(200)) > 10


def test_the_warehouse_has_the_demo_catalogue(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text('[{"sku": "MUG", "name": "Mug"}, {"sku": "BOWL", "name": "Bowl"}]')
    settings = Settings(gateway_url="", email="", password="", catalogue=catalogue, receive_after=10)
    assert Rules.of(settings) == RULES
