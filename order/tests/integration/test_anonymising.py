"""Orders of deleted accounts are anonymised as soon as they are over."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from contracts import GuestMerged, OrderAnonymised, UserDeleted
from order.jobs import anonymise_deleted, hash_contacts
from order.operations import find_saga
from order.search import ContactHashes

from ..conftest import CONTACT_KEY

PERIOD = timedelta(days=30)
SHIPPING = {
    "name": "Ada",
    "company": "Engines & Co.",
    "street": "1 Lane",
    "line2": "Floor 3",
    "city": "York",
    "state": "Yorkshire",
    "postcode": "YO1",
    "country": "GB",
    "phone": "01904 555 0100",
    "vat_id": "GB123456789",
}


async def anonymise(order: Any, batch: int = 100) -> None:
    await anonymise_deleted(order.transactions, PERIOD, batch)


async def anonymised(order: Any) -> list[str]:
    return [data["order_id"] for type_, data in await order.published() if type_ == "order.anonymised"]


async def placed(order: Any, shopper: UUID) -> UUID:
    answer = await order.place(shopper, shipping=SHIPPING, return_url="https://shop.example/back")
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["order_id"])


@pytest.fixture
async def over(order: Any, shopper: UUID, paid: Any) -> UUID:
    """A fulfilled order of an account that was deleted."""
    order_id = await placed(order, shopper)
    await order.consume(paid(order_id), UserDeleted(user_id=shopper))
    await order.database.execute("UPDATE orders SET fulfilled_at = now()")
    return order_id


async def test_an_order_that_is_over_loses_name_and_address_and_keeps_its_amounts(
    order: Any, over: UUID
) -> None:
    await anonymise(order)
    await anonymise(order)
    await hash_contacts(order.transactions, ContactHashes(SecretStr(CONTACT_KEY)), 10)

    assert await anonymised(order) == [str(over)]
    row = await order.database.fetchrow("SELECT * FROM orders")
    erased = ("contact", "contact_hash", "shipping", "sealed_shipping", "return_url", "network")
    assert {row[name] for name in erased} == {None}
    assert (row["total"], row["status"]) == (699, "paid")


async def test_its_saga_can_still_be_shown_and_has_no_personal_data(order: Any, over: UUID) -> None:
    await anonymise(order)
    await order.consume(OrderAnonymised(order_id=over))

    found = await find_saga(order.engine, over)

    assert found is not None
    view, timeline = found
    assert (view["status"], view["total"]["amount"], view["shipping"]) == ("paid", 699, None)
    assert "order.anonymised" in [event["type"] for event in timeline]
    for private in (*SHIPPING.values(), "ada@example.com", "shop.example"):
        assert f'"{private}"' not in json.dumps(found)


async def test_staff_can_read_it_and_nobody_can_look_it_up_by_its_address(order: Any, over: UUID) -> None:
    await anonymise(order)
    view = (await order.get(f"/v1/orders/{over}", uuid4(), role="admin")).json()
    assert (view["status"], view["shipping"], view["total"]["amount"]) == ("paid", None, 699)
    lookup = {"number": view["number"], "email": "ada@example.com"}
    assert (await order.http.post("/v1/order-lookups", json=lookup)).status_code == 404


async def test_an_order_in_progress_is_anonymised_when_it_is_over(
    order: Any, shopper: UUID, paid: Any
) -> None:
    order_id = await placed(order, shopper)
    await order.consume(UserDeleted(user_id=shopper))
    await anonymise(order)
    await order.consume(paid(order_id))
    await anonymise(order)
    assert await anonymised(order) == []

    await order.database.execute("UPDATE orders SET paid_at = paid_at - interval '30 days'")
    await anonymise(order)

    assert await anonymised(order) == [str(order_id)]


async def test_orders_of_merged_guests_and_claimed_orders_are_the_accounts(
    order: Any, services: Any, shopper: UUID, paid: Any
) -> None:
    account, claimant = uuid4(), uuid4()
    guests = [await placed(order, shopper)]
    await order.consume(paid(guests[0]), UserDeleted(user_id=account))
    await order.database.execute("UPDATE orders SET fulfilled_at = now()")
    await anonymise(order)
    assert await anonymised(order) == []

    await order.consume(GuestMerged(guest_id=shopper, user_id=account))
    await order.database.execute("UPDATE orders SET claimed_by = $1", claimant)
    await anonymise(order)
    assert await anonymised(order) == [], "another account has claimed it"

    await order.consume(UserDeleted(user_id=claimant))
    await anonymise(order)
    assert await anonymised(order) == [str(guests[0])]


async def test_nobody_elses_orders_are_anonymised(order: Any, over: UUID, services: Any) -> None:
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    order_id = await placed(order, other)
    await anonymise(order)
    contact = await order.database.fetchval("SELECT contact FROM orders WHERE order_id = $1", order_id)
    assert contact is not None


async def test_orders_that_are_not_over_do_not_stand_in_the_way_of_others(
    order: Any, services: Any, shopper: UUID, paid: Any
) -> None:
    ids = [await placed(order, shopper) for _ in range(3)]
    await order.consume(*map(paid, ids), UserDeleted(user_id=shopper))
    await order.database.execute("UPDATE orders SET fulfilled_at = now() WHERE order_id = $1", max(ids))
    await anonymise(order, batch=1)
    assert await anonymised(order) == [str(max(ids))]


async def test_a_deleted_account_is_forgotten_once_no_order_can_follow(order: Any, over: UUID) -> None:
    await anonymise(order)
    assert await order.count("deleted_account") == 1, "its access token may still place an order"
    await order.database.execute("UPDATE deleted_account SET deleted_at = now() - interval '3 days'")
    await order.database.execute("UPDATE orders SET contact = 'encrypted', fulfilled_at = NULL")
    await anonymise(order)
    assert await order.count("deleted_account") == 1, "it has an order that is not over"
    await order.database.execute("UPDATE orders SET fulfilled_at = now()")
    await anonymise(order)
    assert await order.count("deleted_account") == 0
