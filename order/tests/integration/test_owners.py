"""The owner of an order: a guest's orders move to the account at login, in whatever order the events
arrive."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts import OrderPaid
from contracts.testing import guest_merged

GUEST: dict[str, Any] = {"role": "guest", "email": None}
EMAIL = "ada@example.com"


@pytest.fixture
def guest(shopper: UUID) -> UUID:
    return shopper


@pytest.fixture
def account() -> UUID:
    return uuid4()


async def placed(order: Any, guest: UUID) -> UUID:
    answer = await order.place(guest, caller=GUEST, email=EMAIL)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["order_id"])


async def listed(order: Any, who: UUID, query: str = "", **caller: Any) -> list[UUID]:
    page = await order.get(f"/v1/orders?{query}", who, **caller)
    assert page.status_code == 200, page.text
    return [UUID(item["order_id"]) for item in page.json()["items"]]


async def status(order: Any, path: str, who: UUID, **caller: Any) -> int:
    return int((await order.get(path, who, **caller)).status_code)


async def test_a_guests_orders_move_to_the_account_at_login(order: Any, guest: UUID, account: UUID) -> None:
    order_id = await placed(order, guest)
    await order.consume(guest_merged(guest_id=guest, user_id=account))
    assert await listed(order, account) == [order_id]
    view = (await order.get(f"/v1/orders/{order_id}", account)).json()
    assert view["shopper_id"] == str(account)
    for more in ("", "/timeline"):
        assert await status(order, f"/v1/orders/{order_id}{more}", account) == 200
        assert await status(order, f"/v1/orders/{order_id}{more}", guest, **GUEST) == 404
        assert await status(order, f"/v1/orders/{order_id}{more}", uuid4()) == 404
    assert await listed(order, guest, **GUEST) == []


async def test_an_order_placed_with_the_guests_token_after_login_is_the_accounts(
    order: Any, guest: UUID, account: UUID
) -> None:
    await order.consume(guest_merged(guest_id=guest, user_id=account))
    order_id = await placed(order, guest)
    assert await listed(order, account) == [order_id]
    assert await status(order, f"/v1/orders/{order_id}", guest, **GUEST) == 404


async def test_a_guest_is_merged_into_the_first_account_only(order: Any, guest: UUID, account: UUID) -> None:
    order_id = await placed(order, guest)
    for _ in range(2):
        await order.consume(guest_merged(guest_id=guest, user_id=account))
    await order.consume(guest_merged(guest_id=guest, user_id=uuid4()))
    assert await listed(order, account) == [order_id]


async def test_an_order_that_has_moved_is_paid_as_it_was_placed(
    order: Any, guest: UUID, account: UUID, paid: Callable[[UUID], OrderPaid]
) -> None:
    order_id = await placed(order, guest)
    await order.consume(guest_merged(guest_id=guest, user_id=account), paid(order_id))
    assert (await order.get(f"/v1/orders/{order_id}", account)).json()["status"] == "paid"


async def test_the_new_owner_can_cancel_a_moved_order_and_the_guest_cannot(
    order: Any, guest: UUID, account: UUID
) -> None:
    order_id = await placed(order, guest)
    await order.consume(guest_merged(guest_id=guest, user_id=account))
    assert (await order.cancel(order_id, guest, **GUEST)).status_code == 404
    assert (await order.cancel(order_id, account)).json()["status"] == "cancelled"


async def test_pages_cover_the_orders_of_all_merged_guests(
    order: Any, services: Any, guest: UUID, account: UUID
) -> None:
    guests = [guest, uuid4(), uuid4()]
    services.carts |= {one: {"MUG": 1} for one in (*guests, account)}
    for one in guests[:2]:
        await order.consume(guest_merged(guest_id=one, user_id=account))
    ids = [await placed(order, one) for one in guests * 2]
    ids += [await order.placed(account)]
    await order.consume(guest_merged(guest_id=guests[2], user_id=account))
    seen: list[UUID] = []
    path = "/v1/orders?limit=3"
    while path:
        page = (await order.get(path, account)).json()
        seen += [UUID(item["order_id"]) for item in page["items"]]
        path = f"/v1/orders?limit=3&before={page['next']}" if page["next"] else ""
    assert seen == sorted(ids, reverse=True)
    assert await listed(order, uuid4(), f"shopper_id={account}&limit=100", role="admin") == seen


async def test_a_moved_order_is_found_by_each_filter(order: Any, guest: UUID, account: UUID) -> None:
    kept, gone = await placed(order, guest), await placed(order, guest)
    await order.cancel(gone, guest, **GUEST)
    await order.consume(guest_merged(guest_id=guest, user_id=account))
    number = (await order.get(f"/v1/orders/{kept}", account)).json()["number"]
    assert await listed(order, account, "status=pending") == [kept]
    assert await listed(order, account, "status=cancelled") == [gone]
    assert await listed(order, account, f"number={number}") == [kept]
    assert await listed(order, account, f"id={gone}&id={uuid4()}") == [gone]


async def test_limits_and_keys_stay_with_who_placed_an_order(
    start: Any, guest: UUID, account: UUID, services: Any
) -> None:
    order = await start(max_open_orders=1)
    services.carts[account] = {"MUG": 1}
    first = await order.place(guest, key="one", caller=GUEST, email=EMAIL)
    await order.consume(guest_merged(guest_id=guest, user_id=account))
    again = await order.place(guest, key="one", caller=GUEST, email=EMAIL)
    assert (again.status_code, again.json()) == (202, first.json())
    assert (await order.place(guest, caller=GUEST, email=EMAIL)).status_code == 409
    assert (await order.place(account, key="one")).status_code == 202
