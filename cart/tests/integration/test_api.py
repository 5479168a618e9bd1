"""A shopper's cart over HTTP, on a real PostgreSQL."""

import asyncio
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from cart.saga import move_guest_items
from cart.settings import Settings
from chassis.storage import database
from contracts.testing import guest_merged

from ..conftest import Clients, FakeProduct


async def lines(client: httpx.AsyncClient) -> dict[str, int]:
    items = (await client.get("/v1/cart/lines")).json()["items"]
    return {item["sku"]: item["quantity"] for item in items}


async def test_a_new_cart_is_empty(shopper: httpx.AsyncClient) -> None:
    empty = {"items": [], "ids": [], "bought": [], "version": 0}
    assert (await shopper.get("/v1/cart/lines")).json() == empty
    assert (await shopper.get("/v1/cart")).json() == {
        "items": [],
        "total": 0,
        "currency": None,
        "version": 0,
        "degraded": False,
        "reason": None,
    }


async def test_a_cart_needs_a_token(shopper: httpx.AsyncClient) -> None:
    for path in ("/v1/cart", "/v1/cart/lines"):
        assert (await shopper.get(path, headers={"authorization": ""})).status_code == 401


async def test_the_cart_shows_prices_and_their_sum(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    product_service.put("A", price=295, available=9)
    await shopper.put("/v1/cart/items/B", json={"quantity": 1})
    await shopper.put("/v1/cart/items/A", json={"quantity": 3})
    product_service.reads.clear()
    cart = (await shopper.get("/v1/cart")).json()
    assert cart["items"][0] == {
        "sku": "A",
        "quantity": 3,
        "name": "Product A",
        "price": 295,
        "currency": "GBP",
        "total": 885,
        "available": 9,
        "status": "active",
        "problem": None,
    }
    assert (cart["total"], cart["currency"], cart["degraded"]) == (985, "GBP", False)
    assert product_service.reads == [["A", "B"]]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"status": "retired", "available": 0}, "retired"),
        ({"available": 2}, "short"),
        ({"currency": "XTS"}, "not_chargeable"),
        ({"currency": "KWD", "price": 1001}, "not_chargeable"),
        ({"available": 3}, None),
    ],
)
async def test_a_line_that_cannot_be_ordered_is_marked_and_not_in_the_total(
    shopper: httpx.AsyncClient, product_service: FakeProduct, changed: dict[str, object], problem: str | None
) -> None:
    await shopper.put("/v1/cart", json={"items": [{"sku": sku, "quantity": 3} for sku in "AB"]})
    product_service.put("B", **changed)
    cart = (await shopper.get("/v1/cart")).json()
    assert [line["problem"] for line in cart["items"]] == [None, problem]
    assert (cart["total"], cart["currency"]) == (300 if problem else 600, "GBP")


async def test_a_put_with_a_shortage_is_accepted_and_reports_it(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    short = [{"sku": "A", "wanted": 6, "available": 5}]
    put = await shopper.put("/v1/cart/items/A", json={"quantity": 6})
    assert (put.status_code, put.json()["short"]) == (200, short)
    items = [{"sku": "A", "quantity": 6}, {"sku": "B", "quantity": 5}]
    assert (await shopper.put("/v1/cart", json={"items": items})).json()["short"] == short
    assert await lines(shopper) == {"A": 6, "B": 5}


async def test_a_put_replaces_the_quantity(shopper: httpx.AsyncClient) -> None:
    for quantity in (3, 2):
        answer = await shopper.put("/v1/cart/items/A", json={"quantity": quantity})
        assert answer.status_code == 200
    assert await lines(shopper) == {"A": 2}


async def test_a_cart_is_visible_to_its_owner_only(clients: Clients) -> None:
    one, other = clients(uuid4()), clients(uuid4())
    await one.put("/v1/cart/items/A", json={"quantity": 1})
    assert await lines(other) == {}


async def test_removing_a_product_is_idempotent(shopper: httpx.AsyncClient) -> None:
    await shopper.put("/v1/cart", json={"items": [{"sku": s, "quantity": 1} for s in "AB"]})
    for _ in range(2):
        assert (await shopper.delete("/v1/cart/items/A")).status_code == 204
    assert await lines(shopper) == {"B": 1}


async def test_emptying_removes_all_lines(shopper: httpx.AsyncClient) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 1})
    assert (await shopper.delete("/v1/cart")).status_code == 204
    assert await lines(shopper) == {}


async def test_replacing_replaces_all_lines(shopper: httpx.AsyncClient) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 1})
    put = await shopper.put("/v1/cart", json={"items": [{"sku": "B", "quantity": 4}]})
    assert put.json()["lines"] == 1
    assert await lines(shopper) == {"B": 4}


@pytest.mark.parametrize("quantity", [0, -1, 10_001, 1.5, "x", None])
async def test_an_invalid_quantity_is_rejected(shopper: httpx.AsyncClient, quantity: object) -> None:
    answer = await shopper.put("/v1/cart/items/A", json={"quantity": quantity})
    assert answer.status_code == 422
    assert await lines(shopper) == {}


async def test_an_unknown_product_is_rejected(shopper: httpx.AsyncClient) -> None:
    answer = await shopper.put("/v1/cart/items/none", json={"quantity": 1})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-for-sale")


async def test_a_retired_product_is_rejected(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    product_service.put("old", status="retired")
    assert (await shopper.put("/v1/cart/items/old", json={"quantity": 1})).status_code == 404


async def test_a_replacement_with_unknown_products_names_them_and_changes_nothing(
    shopper: httpx.AsyncClient,
) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 1})
    answer = await shopper.put("/v1/cart", json={"items": [{"sku": s, "quantity": 1} for s in "BXY"]})
    assert (answer.status_code, answer.json()["skus"]) == (422, ["X", "Y"])
    assert await lines(shopper) == {"A": 1}


async def test_a_duplicate_sku_is_rejected(shopper: httpx.AsyncClient) -> None:
    answer = await shopper.put("/v1/cart", json={"items": [{"sku": "A", "quantity": 1}] * 2})
    assert answer.status_code == 422


async def test_a_product_that_was_just_checked_is_not_read_again(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    for quantity in (1, 2, 3):
        await shopper.put("/v1/cart/items/A", json={"quantity": quantity})
    assert product_service.reads == [["A"]]


async def test_while_product_is_down_the_cart_is_shown_without_prices(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 2})
    product_service.down = True
    answer = await shopper.get("/v1/cart")
    assert answer.status_code == 200
    cart = answer.json()
    assert (cart["degraded"], cart["reason"], cart["total"]) == (True, "product does not answer.", None)
    assert [(line["sku"], line["quantity"], line["price"]) for line in cart["items"]] == [("A", 2, None)]


async def test_while_product_is_down_any_sku_is_accepted_and_the_response_is_degraded(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    product_service.down = True
    answer = await shopper.put("/v1/cart/items/none", json={"quantity": 1})
    assert answer.json() == {
        "lines": 1,
        "version": 1,
        "short": [],
        "degraded": True,
        "reason": "product does not answer.",
    }
    product_service.down = False
    [line] = (await shopper.get("/v1/cart")).json()["items"]
    assert (line["status"], line["price"], line["available"]) == ("unknown", None, 0)
    assert line["problem"] == "unknown"


@pytest.mark.parametrize("sku", ["", "x" * 33, "A B", "-A", "\U0001f600", "A\0", "é"])
async def test_an_invalid_sku_is_rejected_even_while_product_is_down(
    shopper: httpx.AsyncClient, product_service: FakeProduct, sku: str
) -> None:
    product_service.down = True
    replaced = await shopper.put("/v1/cart", json={"items": [{"sku": sku, "quantity": 1}]})
    assert replaced.status_code == 422
    if sku:
        assert (await shopper.put(f"/v1/cart/items/{quote(sku)}", json={"quantity": 1})).status_code == 422
    assert await lines(shopper) == {}
    assert product_service.reads == []


async def test_an_invalid_sku_in_an_old_cart_is_shown_as_unknown_and_can_be_removed(
    shopper: httpx.AsyncClient, settings: Settings, product_service: FakeProduct
) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 2})
    engine = database.connect(settings.database_url, pool_size=1, statement_timeout=15)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE cart SET items = items || jsonb_build_object('\U0001f600', 1)"))
    await engine.dispose()
    product_service.reads.clear()
    shown = (await shopper.get("/v1/cart")).json()["items"]
    assert [(line["sku"], line["status"]) for line in shown] == [("A", "active"), ("\U0001f600", "unknown")]
    assert product_service.reads == [["A"]]
    emoji = quote("\U0001f600")
    assert (await shopper.delete(f"/v1/cart/items/{emoji}")).status_code == 204
    assert await lines(shopper) == {"A": 2}


async def test_an_error_of_product_is_not_an_outage_and_nothing_unchecked_is_stored(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    product_service.refuses = True
    with capture_logs() as logs:
        assert (await shopper.put("/v1/cart/items/A", json={"quantity": 2})).status_code == 500
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["request failed"]
    product_service.refuses = False
    assert await lines(shopper) == {}


async def test_a_thousand_lines_fit_and_one_more_does_not(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    skus = [f"{n:032}" for n in range(1000)]
    for sku in skus:
        product_service.put(sku)
    everything = {"items": [{"sku": sku, "quantity": 10_000} for sku in skus]}
    assert (await shopper.put("/v1/cart", json=everything)).status_code == 200
    assert len(await lines(shopper)) == 1000
    full = await shopper.put("/v1/cart/items/A", json={"quantity": 1})
    assert (full.status_code, full.json()["type"]) == (409, "/problems/cart-full")
    assert (await shopper.put(f"/v1/cart/items/{skus[0]}", json={"quantity": 1})).status_code == 200


async def test_products_put_at_the_same_moment_are_all_there(shopper: httpx.AsyncClient) -> None:
    await asyncio.gather(*(shopper.put(f"/v1/cart/items/{s}", json={"quantity": 1}) for s in "ABC"))
    assert await lines(shopper) == {"A": 1, "B": 1, "C": 1}


async def test_a_guests_cart_is_the_accounts_after_the_login(clients: Clients, settings: Settings) -> None:
    guest_id, user_id = uuid4(), uuid4()
    guest, user = clients(guest_id), clients(user_id)
    await guest.put("/v1/cart/items/A", json={"quantity": 2})
    engine = database.connect(settings.database_url, pool_size=2, statement_timeout=15)
    async with database.Transactions(engine, "cart", lease=60)() as tx:
        await move_guest_items(guest_merged(guest_id=guest_id, user_id=user_id), tx)
    await engine.dispose()
    assert await lines(user) == {"A": 2}
    assert await lines(guest) == {}
    moved = await guest.put("/v1/cart/items/B", json={"quantity": 1})
    assert (moved.status_code, moved.json()["type"]) == (409, "/problems/cart-moved")
    assert (await guest.put("/v1/cart", json={"items": []})).status_code == 409
    assert (await guest.delete("/v1/cart")).status_code == 204
    assert await lines(user) == {"A": 2}
