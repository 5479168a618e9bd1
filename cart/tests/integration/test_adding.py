"""Adding to a cart: to what is there, and once for each idempotency key."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch

from ..conftest import FakeProduct


async def add(client: httpx.AsyncClient, sku: str, quantity: int, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key or uuid4().hex}
    return await client.post("/v1/cart/items", json={"sku": sku, "quantity": quantity}, headers=headers)


async def lines(client: httpx.AsyncClient) -> dict[str, int]:
    items = (await client.get("/v1/cart/lines")).json()["items"]
    return {item["sku"]: item["quantity"] for item in items}


async def test_pieces_are_added_to_what_is_there(shopper: httpx.AsyncClient) -> None:
    await shopper.put("/v1/cart/items/B", json={"quantity": 1})
    assert (await add(shopper, "A", 2)).json()["quantity"] == 2
    added = await add(shopper, "A", 3)
    assert added.json() == {"quantity": 5, "version": 3, "short": [], "degraded": False, "reason": None}
    assert await lines(shopper) == {"A": 5, "B": 1}


async def test_a_repeat_with_the_same_key_adds_nothing(shopper: httpx.AsyncClient) -> None:
    first, repeat = [await add(shopper, "A", 2, key="one") for _ in range(2)]
    assert (repeat.status_code, repeat.json()) == (200, first.json())
    assert repeat.headers["idempotent-replayed"] == "true"
    assert await lines(shopper) == {"A": 2}
    assert (await add(shopper, "A", 3, key="one")).json()["type"] == "/problems/idempotency-key-reused"


async def test_a_key_is_required(shopper: httpx.AsyncClient) -> None:
    assert (await shopper.post("/v1/cart/items", json={"sku": "A", "quantity": 1})).status_code == 400


async def test_what_is_added_at_the_same_moment_is_all_there(shopper: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(add(shopper, "A", 1) for _ in range(5)))
    assert sorted(answer.json()["quantity"] for answer in answers) == [1, 2, 3, 4, 5]
    assert await lines(shopper) == {"A": 5}


async def test_a_shortage_of_all_pieces_in_the_cart_is_reported(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    assert (await add(shopper, "A", 5)).json()["short"] == []
    product_service.put("A", available=6)
    assert (await add(shopper, "A", 2)).json()["short"] == [{"sku": "A", "wanted": 7, "available": 6}]


async def test_a_product_that_is_not_for_sale_is_not_added(shopper: httpx.AsyncClient) -> None:
    answer = await add(shopper, "none", 1)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-for-sale")


async def test_while_product_is_down_pieces_are_added_unchecked(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    product_service.down = True
    added = (await add(shopper, "A", 2)).json()
    assert (added["quantity"], added["degraded"]) == (2, True)


async def test_a_line_has_a_maximum_and_a_refused_key_can_be_used_again(shopper: httpx.AsyncClient) -> None:
    await shopper.put("/v1/cart/items/A", json={"quantity": 9_999})
    refused = await add(shopper, "A", 2, key="one")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-pieces")
    assert refused.json()["quantity"] == 9_999
    await shopper.put("/v1/cart/items/A", json={"quantity": 1})
    assert (await add(shopper, "A", 2, key="one")).json()["quantity"] == 3


async def test_a_full_cart_takes_only_more_of_what_it_has(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    skus = [f"{n:032}" for n in range(1000)]
    for sku in skus:
        product_service.put(sku)
    await shopper.put("/v1/cart", json={"items": [{"sku": sku, "quantity": 1} for sku in skus]})
    assert (await add(shopper, "A", 1)).json()["type"] == "/problems/cart-full"
    assert (await add(shopper, skus[0], 1)).json()["quantity"] == 2


@pytest.mark.parametrize("body", [{"sku": "A"}, {"sku": "A", "quantity": 0}, {"sku": "A B", "quantity": 1}])
async def test_an_invalid_addition_is_rejected(shopper: httpx.AsyncClient, body: dict[str, object]) -> None:
    headers = {"Idempotency-Key": "one"}
    assert (await shopper.post("/v1/cart/items", json=body, headers=headers)).status_code == 422


async def test_adding_keeps_a_cart_as_any_change_does(
    shopper: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await add(shopper, "A", 1)
    await fetch(engine, "UPDATE cart SET touched_at = now() - interval '9 days'")
    await add(shopper, "A", 1)
    [row] = await fetch(engine, "SELECT now() - touched_at < interval '2 days' AS fresh FROM cart")
    assert row["fresh"]
