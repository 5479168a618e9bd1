"""A change that names the cart's version is made only if the cart still has it."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.saga import move_guest_items, remove_bought
from chassis.storage.database import Transactions
from contracts.testing import guest_merged, line, order_paid

from ..conftest import Clients, FakeProduct

CHANGES: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "replace": ("PUT", "/v1/cart", {"items": [{"sku": "B", "quantity": 1}]}),
    "empty": ("DELETE", "/v1/cart", None),
    "put": ("PUT", "/v1/cart/items/B", {"quantity": 1}),
    "add": ("POST", "/v1/cart/items", {"sku": "B", "quantity": 1}),
    "remove": ("DELETE", "/v1/cart/items/A", None),
}


async def change(client: httpx.AsyncClient, how: str, if_match: str | None = None) -> httpx.Response:
    method, path, body = CHANGES[how]
    headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
    headers |= {"If-Match": if_match} if if_match is not None else {}
    return await client.request(method, path, json=body, headers=headers)


async def version(client: httpx.AsyncClient) -> int:
    return int((await client.get("/v1/cart/lines")).json()["version"])


async def filled(client: httpx.AsyncClient) -> None:
    assert (await client.put("/v1/cart/items/A", json={"quantity": 1})).status_code == 200


@pytest.mark.parametrize("how", CHANGES)
async def test_a_change_of_the_version_that_was_read_is_made(shopper: httpx.AsyncClient, how: str) -> None:
    await filled(shopper)
    for path in ("/v1/cart", "/v1/cart/lines"):
        await filled(shopper)
        tag = (await shopper.get(path)).headers["etag"]
        assert (await change(shopper, how, tag)).status_code in (200, 204)
    before = await version(shopper)
    assert (await change(shopper, how, f'"{before}"')).status_code in (200, 204)


@pytest.mark.parametrize("how", CHANGES)
async def test_a_change_of_an_older_version_is_refused(shopper: httpx.AsyncClient, how: str) -> None:
    await filled(shopper)
    tag = (await shopper.get("/v1/cart")).headers["etag"]
    await shopper.put("/v1/cart/items/A", json={"quantity": 2})
    refused = await change(shopper, how, tag)
    assert (refused.status_code, refused.json()["type"]) == (412, "/problems/cart-changed")
    assert refused.json()["version"] == await version(shopper) == 2
    assert (await shopper.get("/v1/cart/lines")).json()["items"] == [{"sku": "A", "quantity": 2}]


@pytest.mark.parametrize("how", CHANGES)
async def test_a_cart_that_nobody_has_filled_has_a_version_too(shopper: httpx.AsyncClient, how: str) -> None:
    assert (await change(shopper, how, '"1"')).status_code == 412
    assert await version(shopper) == 0
    assert (await change(shopper, how, '"0"')).status_code in (200, 204)


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ("*", 200),
        ('"7", "1"', 200),
        ('W/"1"', 412),
        ("1", 412),
        ('"x"', 412),
        ("", 412),
        ('"' + "9" * 400 + '"', 412),
        ("x" * 1001, 400),
    ],
)
async def test_if_match_is_read_as_http_says(shopper: httpx.AsyncClient, if_match: str, status: int) -> None:
    await filled(shopper)
    assert (await change(shopper, "put", if_match)).status_code == status


async def test_of_two_changes_of_one_version_one_is_made(shopper: httpx.AsyncClient) -> None:
    for before in ('"0"', '"1"', '"2"'):
        quantities = iter(range(1 + 10 * int(before[1]), 9 + 10 * int(before[1])))
        answers = await asyncio.gather(
            *(
                shopper.put(
                    "/v1/cart/items/A", json={"quantity": next(quantities)}, headers={"If-Match": before}
                )
                for _ in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_a_change_that_changes_nothing_leaves_the_version(shopper: httpx.AsyncClient) -> None:
    await filled(shopper)
    await filled(shopper)
    await shopper.delete("/v1/cart/items/B")
    assert await version(shopper) == 1


async def test_an_etag_changes_with_prices_and_still_matches(
    shopper: httpx.AsyncClient, product_service: FakeProduct
) -> None:
    await filled(shopper)
    before = (await shopper.get("/v1/cart")).headers["etag"]
    assert (await shopper.get("/v1/cart")).headers["etag"] == before
    product_service.put("A", price=101)
    after = (await shopper.get("/v1/cart")).headers["etag"]
    assert after != before
    assert (await change(shopper, "put", before)).status_code == 200


async def test_steps_change_the_version_too(clients: Clients, engine: AsyncEngine) -> None:
    guest_id, account_id = uuid4(), uuid4()
    guest, account = clients(guest_id, "guest"), clients(account_id)
    await filled(guest)
    await account.put("/v1/cart/items/B", json={"quantity": 2})
    transactions = Transactions(engine, "cart", lease=60)
    async with transactions() as tx:
        await move_guest_items(guest_merged(guest_id=guest_id, user_id=account_id), tx)
    assert await version(account) == 2
    paid = order_paid(order_id=UUID(int=7), shopper_id=account_id, lines=(line("B", 1),))
    async with transactions() as tx:
        await remove_bought(paid, tx)
    assert await version(account) == 3
    moved = await change(guest, "put", '"1"')
    assert (moved.status_code, moved.json()["type"]) == (409, "/problems/cart-moved")
