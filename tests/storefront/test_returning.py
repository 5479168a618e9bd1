"""The warehouse ships what a guest has bought from the demo catalogue, and receives what comes back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from devstack import Stack
from shop.catalogue.loading import load, read
from shop.http import admin_client
from shop.machine import project_root
from tests.storefront.guest import Guest

pytestmark = pytest.mark.timeout(240)
SKU = "BOWL-SET"


@pytest.fixture
async def demo(stack: Stack) -> None:
    """The demo catalogue is loaded."""
    async with admin_client(stack) as admin:
        await load(admin, read(project_root() / "storefront" / "catalogue.json"))


@pytest.fixture
async def warehouse(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """The API, with the warehouse's token."""
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        form = {"username": stack.warehouse_email, "password": stack.secret("warehouse-password")}
        token = (await http.post("/v1/token", data=form)).json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield http


@pytest.mark.usefixtures("demo")
async def test_what_was_paid_is_shipped_and_what_comes_back_is_refunded(guest: Guest) -> None:
    await guest.open(f"/p/{SKU}")
    await guest.send("/cart/add", sku=SKU, quantity="2", key=guest.value("key"))
    await guest.order("pm_card_visa")
    await guest.until("Your order is paid and was shipped.")
    order = guest.path
    key = guest.value("key")
    await guest.send(f"{order}/returns", key=key, **{f"pieces:{SKU}": "1"})
    assert "Your return is requested." in guest.page
    await guest.send(f"{order}/returns", key=key, **{f"pieces:{SKU}": "1"})  # sent twice, requested once
    assert guest.page.count("Withdraw this return") == 1
    await guest.until("The goods have arrived, and your money was sent back to you.")
    assert "Your order is paid, and a part of the money was sent back to you." in guest.page
    assert "-£27.95" in guest.page
    await guest.open(f"{order}?how=1")
    assert "<code>payment.refunded_in_part</code>" in guest.page


@pytest.mark.usefixtures("demo")
async def test_a_return_is_withdrawn_before_it_arrives(guest: Guest) -> None:
    await guest.open(f"/p/{SKU}")
    await guest.send("/cart/add", sku=SKU, quantity="1", key=guest.value("key"))
    await guest.order("pm_card_visa")
    await guest.until("Your order is paid and was shipped.")
    order = guest.path
    await guest.send(f"{order}/returns", key=guest.value("key"), **{f"pieces:{SKU}": "1"})
    await guest.send(f"{order}/withdraw", return_id=guest.value("return_id"))
    assert "You have withdrawn this return." in guest.page
    assert f'name="pieces:{SKU}"' in guest.page


async def test_the_warehouse_may_neither_refund_nor_change_the_catalogue(
    warehouse: httpx.AsyncClient,
) -> None:
    assert (await warehouse.get("/v1/orders")).status_code == 200
    refund = {"whole": True, "reason": "because"}
    headers = {"Idempotency-Key": "a-key-of-the-warehouse"}
    order = "00000000-0000-7000-8000-000000000000"
    answer = await warehouse.post(f"/v1/orders/{order}/refunds", json=refund, headers=headers)
    assert answer.status_code == 403
    product = {"sku": "NEW-1", "name": "New", "price": 1, "stock": 1}
    assert (await warehouse.post("/v1/products", json=product)).status_code == 403
