"""Accounts, in a browser: register, log in and out, and a password that is forgotten."""

import re

import httpx
import pytest
from playwright.async_api import expect

from scenarios.mails import Mail, mails, text_of
from scenarios.shopper import poll
from tests.browser.conftest import NewVisitor
from tests.browser.visitor import SAGA_MS, Look, Visitor
from tests.browser.walk import SKU


async def test_the_cart_survives_registering_and_logging_in_again(visitor: Visitor) -> None:
    await visitor.put_into_cart(SKU, 2)
    email, password = await visitor.register()
    await expect(visitor.page.locator(".top .count")).to_have_text("2")
    await visitor.open("/account")
    await visitor.page.get_by_role("button", name="Log out", exact=True).click()
    await expect(visitor.page.locator(".top .count")).to_have_text("")
    await visitor.open("/login")
    await visitor.send("/login", email=email, password="wrong password")
    await expect(visitor.page.locator("main [role=alert]")).to_be_focused()
    await visitor.send("/login", email=email, password=password)
    await visitor.open("/cart")
    await expect(visitor.page.locator("main .total")).to_contain_text("£17.90")


@pytest.mark.parametrize("look", [Look(), Look(javascript=False)], ids=str)
async def test_a_forgotten_password_is_replaced_by_mail(new_visitor: NewVisitor, look: Look) -> None:
    visitor = await new_visitor(look)
    email, _ = await visitor.register()
    await visitor.open("/reset")
    await visitor.send("/reset", email=email)
    link = await mailed_link(visitor, email, "/reset/new")
    await visitor.open("/")  # which is another page than the link's
    await visitor.open(link)
    if not look.javascript:  # the link's token is behind the #, which no server gets
        await visitor.page.locator("[name=token]").fill(link)
    await visitor.send("/reset/new", password="a new long password")
    await visitor.open("/login")
    await visitor.send("/login", email=email, password="a new long password")
    await expect(visitor.page.locator(".top a[href='/account']")).to_be_visible()


async def test_a_guests_order_is_found_by_its_number(visitor: Visitor, new_visitor: NewVisitor) -> None:
    await visitor.order(SKU)
    await visitor.until("Your order is paid.")
    number = (await visitor.page.locator("h1").inner_text()).split()[-1]
    other = await new_visitor(Look(phone=True))
    await other.open("/orders/find")
    await other.send("/orders/find", number=number, email="guest@example.com")
    await expect(other.page.locator("h1")).to_contain_text(number)
    await expect(other.page.locator("main .receipt")).to_contain_text("Red paper lantern")
    await other.open("/orders/find")
    await other.send("/orders/find", number=number, email="another@example.com")
    await expect(other.page.locator("main [role=alert]")).to_contain_text("There is no order")


async def mailed_link(visitor: Visitor, to: str, path: str) -> str:
    """Path and fragment of the link in the newest mail to an address that has one to this path."""
    async with httpx.AsyncClient(timeout=30) as http:

        async def links() -> list[str]:
            found = [await text_of(http, visitor.stack.mailbox_url, mail) for mail in await recent()]
            return [link for text in found for link in re.findall(rf"https?://\S+?({path}#\S+)", text)]

        async def recent() -> list[Mail]:
            return (await mails(http, visitor.stack.mailbox_url))[:10]

        return (await poll(links, bool, SAGA_MS / 1000, 1))[0]
