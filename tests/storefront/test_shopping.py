"""A guest shops on the pages, without JavaScript, through the gateway: from the search to the paid order."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from devstack import Stack
from scenarios.shopper import poll, press_bank_button
from shop.http import admin_client, checked_json

pytestmark = pytest.mark.timeout(180)
NAME = "Lantern of the storefront"
SECONDS = 60
ADDRESS = {
    "email": "guest@example.com",
    "name": "Ada Neri",
    "street": "1 Example Street",
    "city": "London",
    "postcode": "N1 7AA",
    "country": "GB",
}


@dataclass
class Guest:
    """A browser without JavaScript, on the pages of a running shop."""

    http: httpx.AsyncClient
    page: str = ""
    path: str = ""

    async def open(self, path: str) -> str:
        response = await self.http.get(path, follow_redirects=True)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        self.page, self.path = response.text, response.url.path
        return self.page

    async def send(self, path: str, **fields: str) -> str:
        """A form of the page that was opened last. Opens the page that follows."""
        origin = str(self.http.base_url).rstrip("/")
        sent = {"csrf": self.value("csrf"), **fields}
        response = await self.http.post(path, data=sent, headers={"Origin": origin})
        assert response.status_code == 303, f"{path}: {response.status_code} {response.text}"
        return await self.open(response.headers["location"])

    async def order(self, card: str) -> None:
        await self.open("/checkout")
        hidden = {name: self.value(name) for name in ("key", "total", "currency", "lines")}
        await self.send("/checkout", **hidden, **ADDRESS, card=card)

    async def until(self, text: str) -> None:
        """Reload the page until it has the text. Raises `TimeoutError`."""
        await poll(lambda: self.open(self.path), lambda page: text in page, SECONDS, 1)

    def value(self, name: str) -> str:
        """Of a hidden field of the page."""
        return unescape(self.found(rf'name="{name}" value="([^"]*)"'))

    def found(self, pattern: str) -> str:
        match = re.search(pattern, self.page)
        assert match, f"{pattern} is not on {self.path}"
        return match[1]


@pytest.fixture
async def guest(stack: Stack) -> AsyncIterator[Guest]:
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        yield Guest(http)


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
    await guest.until("Refunded")
    assert "Cancelled, as you asked." in guest.page


async def test_the_pages_and_the_documentation_are_on_one_origin(guest: Guest) -> None:
    page = await guest.open("/")
    for path in {*re.findall(r'(?:src|href)="(/[^"]*)"', page)}:
        assert (await guest.http.get(unescape(path))).status_code == 200, path
    assert (await guest.http.get("/nowhere")).status_code == 404
