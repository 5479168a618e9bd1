"""The ids of a cart: they stay while it changes, and are new once it is bought or replaced."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.jobs import CARTS
from cart.saga import steps
from chassis.storage.database import Transactions
from chassis.storage.raw_sql import fetch
from contracts import Event, OrderPaid
from contracts.testing import guest_merged, line, order_paid

from ..conftest import Clients


async def ids(client: httpx.AsyncClient) -> tuple[UUID, ...]:
    return tuple(UUID(one) for one in (await client.get("/v1/cart/lines")).json()["ids"])


async def put(client: httpx.AsyncClient, **pieces: int) -> None:
    for sku, quantity in pieces.items():
        answer = await client.put(f"/v1/cart/items/{sku}", json={"quantity": quantity})
        assert answer.status_code == 200


async def replace(client: httpx.AsyncClient, **pieces: int) -> None:
    items = [{"sku": sku, "quantity": quantity} for sku, quantity in pieces.items()]
    assert (await client.put("/v1/cart", json={"items": items})).status_code == 200


async def handle(engine: AsyncEngine, *events: Event) -> None:
    for event in events:
        step = steps.find(event.type, event.version)
        assert step is not None
        async with Transactions(engine, "cart", lease=60)() as tx:
            await step.run(event, tx)


def paid(shopper: UUID, **pieces: int) -> OrderPaid:
    lines = tuple(line(sku, n) for sku, n in pieces.items())
    return order_paid(order_id=uuid4(), shopper_id=shopper, lines=lines)


async def test_a_cart_stays_the_same_while_its_shopper_changes_it(shopper: httpx.AsyncClient) -> None:
    await put(shopper, A=1)
    before = await ids(shopper)
    assert len(before) == 1
    await put(shopper, A=3, B=1)
    await shopper.delete("/v1/cart/items/A")
    await replace(shopper, B=2, C=1)
    assert await ids(shopper) == before


async def test_new_content_that_shares_no_product_with_the_old_is_another_cart(
    shopper: httpx.AsyncClient,
) -> None:
    await replace(shopper, A=1, B=1)
    before = await ids(shopper)
    await replace(shopper, C=1)
    assert await ids(shopper) != before


@pytest.mark.parametrize("how", ["empties", "takes out"])
async def test_a_cart_that_was_emptied_is_another_once_it_is_filled(
    shopper: httpx.AsyncClient, how: str
) -> None:
    await put(shopper, A=1)
    before = await ids(shopper)
    await shopper.delete("/v1/cart" if how == "empties" else "/v1/cart/items/A")
    assert await ids(shopper) == before
    await put(shopper, A=1)
    assert await ids(shopper) != before


async def test_what_is_left_after_an_order_gets_a_new_id_beside_the_old_ones(
    clients: Clients, engine: AsyncEngine
) -> None:
    owner = uuid4()
    client = clients(owner)
    await put(client, A=2)
    before = await ids(client)
    order = paid(owner, A=1)
    await handle(engine, order, order)
    other, *still = await ids(client)
    assert (other in before, tuple(still)) == (False, before)
    assert (await client.get("/v1/cart/lines")).json()["bought"] == [str(order.order_id)]


async def test_a_bought_cart_keeps_its_ids_until_something_is_put_in(
    clients: Clients, engine: AsyncEngine
) -> None:
    owner = uuid4()
    client = clients(owner)
    await put(client, A=2)
    await handle(engine, paid(owner, A=1))
    before = await ids(client)
    await handle(engine, paid(owner, A=1))
    assert await ids(client) == before
    await put(client, A=1)
    assert set(await ids(client)).isdisjoint(before)
    assert (await client.get("/v1/cart/lines")).json()["bought"] == []


async def test_a_merged_cart_has_the_ids_of_both(clients: Clients, engine: AsyncEngine) -> None:
    guests, account = [uuid4(), uuid4()], uuid4()
    for guest in guests:
        await put(clients(guest), A=1)
    first, second = [await ids(clients(guest)) for guest in guests]
    await handle(engine, guest_merged(guest_id=guests[0], user_id=account))
    assert await ids(clients(account)) == first
    assert await ids(clients(guests[0])) == ()
    await handle(engine, guest_merged(guest_id=guests[1], user_id=account))
    assert await ids(clients(account)) == second + first


async def test_a_merged_cart_has_the_orders_of_both(clients: Clients, engine: AsyncEngine) -> None:
    guest, account = uuid4(), uuid4()
    await put(clients(guest), A=2)
    await handle(engine, early := paid(guest, A=1), guest_merged(guest_id=guest, user_id=account))
    await put(clients(account), B=1)
    await handle(engine, late := paid(guest, A=1))
    bought = (await clients(account).get("/v1/cart/lines")).json()["bought"]
    assert bought == [str(late.order_id), str(early.order_id)]
    assert len(await ids(clients(account))) == 3


async def test_a_cart_gets_a_new_id_after_retention_deleted_it(clients: Clients, engine: AsyncEngine) -> None:
    client = clients(uuid4())
    await put(client, A=1)
    before = await ids(client)
    await fetch(engine, "UPDATE cart SET touched_at = now() - interval '2 days'")
    assert await CARTS.prune(engine, datetime.now(UTC) - timedelta(days=1)) == 1
    await put(client, A=1)
    assert await ids(client) != before


async def test_carts_that_the_previous_release_writes_get_ids(clients: Clients, engine: AsyncEngine) -> None:
    owner = uuid4()
    client = clients(owner)
    await fetch(engine, "INSERT INTO cart (owner_id, items) VALUES ($1, '{\"A\": 1}')", owner)
    first = await ids(client)
    assert len(first) == 1
    for items, is_same in (('{"A": 2}', True), ("{}", True), ('{"A": 1}', False)):
        await fetch(engine, "UPDATE cart SET items = $1::text::jsonb", items)
        assert (await ids(client) == first) == is_same
