"""A guest shops on the pages, without JavaScript, through the gateway: from the search to the paid order."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from devstack import Stack
from scenarios.shopper import press_bank_button
from shop.http import admin_client, checked_json
from tests.storefront.guest import Guest

pytestmark = pytest.mark.timeout(180)
NAME = "Lantern of the storefront"


@pytest.fixture
async def sku(stack: Stack) -> str:
    """Of a product with five pieces."""
    sku = f"PAGE-{uuid4().hex[:8]}"
    product = {"sku": sku, "name": NAME, "price": 895, "stock": 5, "category": "lighting"}
    async with admin_client(stack) as admin:
        checked_json(await admin.post("/v1/products", json=product))
    return sku


async def put_into_the_cart(guest: Guest, sku: str, quantity: int) -> None:
    await guest.open(f"/p/{sku}")
    assert "5 left" in guest.page
    await guest.send("/cart/add", sku=sku, quantity=str(quantity), key=guest.value("key"))


async def test_a_product_is_found_and_bought(guest: Guest, sku: str) -> None:
    await guest.open("/search?q=lantern+storefront&sort=newest")
    assert f'href="/p/{sku}"' in guest.page
    await put_into_the_cart(guest, sku, 2)
    await guest.open("/cart")
    assert "£17.90" in guest.page
    await guest.order("pm_card_visa")
    assert guest.path.startswith("/orders/")
    await guest.until("Your order is paid.")
    assert "Everything is in stock and put aside for you." in guest.page
    assert 'http-equiv="refresh"' not in guest.page
    await guest.open(f"/p/{sku}")
    assert "3 left" in guest.page


async def test_a_bank_that_asks_is_confirmed_with_and_leads_back(
    guest: Guest, sku: str, stack: Stack
) -> None:
    await put_into_the_cart(guest, sku, 1)
    await guest.order("pm_card_authenticationRequired")
    order = guest.path
    await guest.until("Confirm with your bank")
    bank = unescape(guest.found(r'href="(http[^"]+)"[^>]*>Confirm with your bank'))
    back = urlsplit(await press_bank_button(guest.http, stack.sandbox_url, bank, "complete"))
    assert f"{back.scheme}://{back.netloc}" == stack.gateway_url
    assert parse_qs(back.query)["redirect_status"] == ["succeeded"]
    await guest.open(f"{back.path}?{back.query}")
    assert guest.path == order
    await guest.until("Your order is paid.")


async def test_a_declined_card_says_so_and_the_cart_can_be_ordered_again(guest: Guest, sku: str) -> None:
    await put_into_the_cart(guest, sku, 1)
    await guest.order("pm_card_visa_chargeDeclined")
    await guest.until("Cancelled: the payment was declined.")
    await guest.order("pm_card_visa")
    await guest.until("Your order is paid.")


async def test_an_order_is_cancelled_and_its_money_comes_back(guest: Guest, sku: str) -> None:
    await put_into_the_cart(guest, sku, 1)
    await guest.order("pm_card_visa")
    order = guest.path
    await guest.until("Your order is paid.")
    await guest.send(f"{order}/cancel")
    await guest.until("-£8.95")
    assert "Cancelled, as you asked." in guest.page


async def test_the_pages_and_the_documentation_are_on_one_origin(guest: Guest) -> None:
    page = await guest.open("/")
    for path in {*re.findall(r'(?:src|href)="(/[^"]*)"', page)}:
        assert (await guest.http.get(unescape(path))).status_code == 200, path
    assert (await guest.http.get("/nowhere")).status_code == 404
