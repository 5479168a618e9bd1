"""A shopper's account on the pages, without JavaScript, through the gateway of a private shop."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from cryptography.fernet import Fernet

import storefront.session
from devstack import Stack
from scenarios.mails import mails
from scenarios.shopper import poll
from shop.http import admin_client, checked_json
from storefront.app import app
from storefront.settings import Settings
from tests.storefront.guest import ADDRESS, SECONDS, Guest

pytestmark = pytest.mark.timeout(180)
PASSWORD = "correct horse battery"


@pytest.fixture
async def sku(stack: Stack) -> str:
    sku = f"ACCOUNT-{uuid4().hex[:8]}"
    product = {"sku": sku, "name": "Mug of an account", "price": 1250, "stock": 5, "category": "kitchen"}
    async with admin_client(stack) as admin:
        checked_json(await admin.post("/v1/products", json=product))
    return sku


@pytest.fixture
async def another(stack: Stack) -> AsyncIterator[Guest]:
    """The same person with another browser."""
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        yield Guest(http)


def new_address() -> str:
    return f"{uuid4().hex[:12]}@example.com"


async def register(guest: Guest, email: str, following: str = "/account") -> None:
    await guest.open(f"/register?next={following}")
    await guest.send("/register", email=email, password=PASSWORD, next=guest.value("next"))


async def put_into_the_cart(guest: Guest, sku: str) -> None:
    await guest.open(f"/p/{sku}")
    await guest.send("/cart/add", sku=sku, quantity="1", key=guest.value("key"))


async def order(guest: Guest, email: str) -> str:
    """Returns the order's number."""
    await guest.open("/checkout")
    hidden = {name: guest.value(name) for name in ("key", "total", "currency", "lines")}
    await guest.send("/checkout", **hidden, **{**ADDRESS, "email": email}, card="pm_card_visa")
    await guest.until("Your order is paid.")
    return guest.found(r"<h1>Order ([^<]+)</h1>")


async def link_in_a_mail(guest: Guest, stack: Stack, email: str, page: str) -> str:
    """The link to that page of the shop, in a mail to the address."""

    async def look() -> str | None:
        for mail in await mails(guest.http, stack.mailbox_url):
            raw = await guest.http.get(f"{stack.mailbox_url}/api/v1/message/{mail.id}/raw")
            text = raw.text.replace("=\r\n", "").replace("=\n", "")
            found = re.search(rf"{re.escape(stack.gateway_url + page)}#([\w-]+)", text)
            if found and email in text:
                return found[0]
        return None

    return str(await poll(look, lambda link: link is not None, SECONDS, 1))


async def test_a_guest_who_registers_keeps_cart_and_order(guest: Guest, another: Guest, sku: str) -> None:
    email = new_address()
    await put_into_the_cart(guest, sku)
    await register(guest, email, "/cart")
    await guest.until("Mug of an account")
    await guest.open("/checkout")
    assert f'value="{email}"' in guest.page
    number = await order(guest, email)
    await another.open("/login?next=/orders")
    await another.send("/login", email=email, password=PASSWORD, next=another.value("next"))
    assert (another.path, number in another.page) == ("/orders", True)
    await another.open("/account/export")
    assert number in another.page
    await another.open("/account")
    await another.send("/logout")
    assert "You are logged out." in another.page
    await another.open("/account")
    assert another.path == "/login"


async def test_a_forgotten_password_is_replaced_by_the_link_of_a_mail(
    guest: Guest, another: Guest, stack: Stack
) -> None:
    email = new_address()
    await register(guest, email)
    assert "not confirmed yet" in guest.page
    await another.open("/reset")
    await another.send("/reset", email=email)
    link = await link_in_a_mail(another, stack, email, "/reset/new")
    await another.open(urlsplit(link).path)
    await another.send("/reset/new", token=link, password="another long password")
    await another.send("/login", email=email, password="another long password", next="/account")
    assert email in another.page
    assert "not confirmed yet" not in another.page


async def test_an_address_is_confirmed_by_the_link_of_the_first_mail(guest: Guest, stack: Stack) -> None:
    email = new_address()
    await register(guest, email)
    link = await link_in_a_mail(guest, stack, email, "/confirm")
    await guest.open("/confirm")
    await guest.send("/confirm", token=link)
    assert "Your address is confirmed." in guest.page


async def test_an_order_of_a_guest_is_found_and_claimed(
    guest: Guest, another: Guest, sku: str, stack: Stack
) -> None:
    email = new_address()
    await put_into_the_cart(guest, sku)
    number = await order(guest, email)
    await another.open(f"/orders/{number}")
    assert another.path == "/orders/find"
    await another.send("/orders/find", number=number, email=email)
    assert "Your order is paid" in another.page
    link = await link_in_a_mail(another, stack, email, "/claim")
    await another.open("/claim")
    await another.send("/claim", token=link)
    assert another.path == "/login"
    await register(another, email, "/claim")
    await another.send("/claim", token=another.found(r'id="token"[^>]* value="([^"]*)"'))
    assert "The order belongs to your account now." in another.page
    assert number in another.page


async def test_a_deleted_account_cannot_log_in(guest: Guest) -> None:
    email = new_address()
    await register(guest, email)
    await guest.open("/account/deletion")
    await guest.send("/account/deletion", password=PASSWORD)
    assert "Your account is deleted." in guest.page
    await guest.open("/login")
    with pytest.raises(AssertionError, match="The e-mail address or the password is wrong"):
        await guest.send("/login", email=email, password=PASSWORD)


async def test_a_renewal_by_two_copies_at_once_logs_nobody_out(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tabs at two copies of the storefront, with access tokens that are over in an instant."""
    settings = Settings(
        gateway_url=stack.gateway_url,
        shop_origins=stack.gateway_url,
        session_key=Fernet.generate_key().decode(),
    )
    async with AsyncExitStack() as entered:
        copies = [
            await entered.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app(settings)), base_url=stack.gateway_url)
            )
            for _ in range(2)
        ]
        await register(Guest(copies[0]), new_address())
        for turn in (1, 2, 3):
            later = turn * 3600
            ahead = SimpleNamespace(time=lambda later=later: time.time() + later)
            monkeypatch.setattr(storefront.session, "time", ahead)
            copies[1].cookies = httpx.Cookies(copies[0].cookies)
            before = copies[0].cookies["session"]
            pages = await asyncio.gather(*(copy.get("/account") for copy in copies for _ in range(3)))
            assert [page.status_code for page in pages] == [200] * 6
            assert copies[0].cookies["session"] != before
