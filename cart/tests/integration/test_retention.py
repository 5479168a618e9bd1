"""Carts that were not changed for long are deleted, guests' sooner than accounts'."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.jobs import CARTS, GUEST_CARTS
from cart.store import Carts
from chassis.storage.raw_sql import fetch

from ..conftest import Clients, FakeProduct

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)
NOW = datetime.now(UTC)


async def owners(engine: AsyncEngine) -> set[UUID]:
    return {UUID(str(row["owner_id"])) for row in await fetch(engine, "SELECT owner_id FROM cart")}


async def fill(engine: AsyncEngine, days_ago: int) -> None:
    carts = Carts(engine)
    await carts.put(GUEST, "MUG", 1, guest=True)
    await carts.put(ACCOUNT, "MUG", 1, guest=False)
    await fetch(engine, "UPDATE cart SET touched_at = $1", NOW - timedelta(days=days_ago))


async def test_guests_and_accounts_have_separate_rules(engine: AsyncEngine) -> None:
    await fill(engine, days_ago=40)
    assert await CARTS.prune(engine, NOW - timedelta(days=365)) == 0
    assert await GUEST_CARTS.prune(engine, NOW - timedelta(days=30)) == 1
    assert await owners(engine) == {ACCOUNT}
    assert await CARTS.prune(engine, NOW - timedelta(days=39)) == 1


@pytest.mark.parametrize("how", ["put", "replace"])
async def test_a_change_keeps_a_cart(engine: AsyncEngine, how: str) -> None:
    await fill(engine, days_ago=40)
    carts = Carts(engine)
    if how == "put":
        await carts.put(GUEST, "TEA", 1, guest=True)
    else:
        await carts.replace(GUEST, {"TEA": 1}, guest=True)
    assert await GUEST_CARTS.prune(engine, NOW - timedelta(days=30)) == 0


async def test_frequent_changes_touch_no_index(engine: AsyncEngine) -> None:
    carts = Carts(engine)
    for quantity in range(1, 4):
        await carts.put(GUEST, "MUG", quantity, guest=True)
    [before] = await fetch(engine, "SELECT touched_at FROM cart")
    await carts.replace(GUEST, {"TEA": 1}, guest=True)
    assert await fetch(engine, "SELECT touched_at FROM cart") == [before]


async def test_a_guests_cart_is_marked(
    engine: AsyncEngine, clients: Clients, product_service: FakeProduct
) -> None:
    product_service.put("MUG")
    guest, account = uuid4(), uuid4()
    for owner, role in ((guest, "guest"), (account, "shopper")):
        client = clients(owner, role)
        assert (await client.put("/v1/cart/items/MUG", json={"quantity": 1})).status_code == 200
    assert {
        (UUID(str(row["owner_id"])), row["guest"]) for row in await fetch(engine, "SELECT * FROM cart")
    } == {(guest, True), (account, False)}


async def test_a_row_of_the_previous_release_is_kept_as_an_accounts(engine: AsyncEngine) -> None:
    await fetch(engine, "INSERT INTO cart (owner_id, items) VALUES ($1, '{}')", GUEST)
    [row] = await fetch(engine, "SELECT guest, now() - touched_at < interval '1 minute' AS fresh FROM cart")
    assert (row["guest"], row["fresh"]) == (False, True)
