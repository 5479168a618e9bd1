"""The checkout with Stripe's Payment Element. Stripe's script is a stub, which makes a token that the sandbox
knows; the page, its policy and its module are the real ones."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
import uvicorn
from playwright.async_api import Route, expect

from devstack import Stack
from storefront.app import app
from storefront.settings import Settings
from tests.browser.visitor import Visitor
from tests.browser.walk import SKU

SCRIPT = "https://js.stripe.com/v3/"
STUB = Path(__file__).with_name("stripe.js")


@pytest_asyncio.fixture(loop_scope="session")
async def checkout(shop: Stack) -> AsyncIterator[str]:
    """The address of a copy of the storefront that has a publishable key."""
    settings = Settings(
        gateway_url=shop.gateway_url,
        shop_origins=shop.gateway_url,
        session_key=shop.secret("session-key"),
        stripe_publishable_key="pk_test_51Example",
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(settings), log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(10):
        while not server.started:
            assert not serving.done(), "the storefront did not start"
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/checkout"
    server.should_exit = True
    await serving


async def test_a_card_is_entered_at_stripe_and_its_token_pays(visitor: Visitor, checkout: str) -> None:
    async def to_the_copy(route: Route) -> None:
        answer = await route.fetch(url=checkout, max_redirects=0)
        await route.fulfill(response=answer)

    async def stub(route: Route) -> None:
        await route.fulfill(path=STUB, content_type="text/javascript")

    await visitor.context.route("**/checkout", to_the_copy)
    await visitor.context.route(SCRIPT, stub)
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in(None)
    button = visitor.page.locator("main form[action='/checkout'] button.button")
    await button.click()
    await expect(visitor.page.locator("#card-error")).to_have_text("Your card number is incomplete.")
    asked = await visitor.page.evaluate("window.asked")
    assert (asked["key"], asked["mode"], asked["currency"]) == ("pk_test_51Example", "payment", "gbp")
    assert asked["amount"] > 0
    assert (asked["paymentMethodCreation"], asked["captureMethod"]) == ("manual", "manual")

    await visitor.page.locator("#number").fill("4242 4242 4242 4242")
    await visitor.page.locator("#city").fill("")
    await button.click()
    await expect(visitor.page.locator("#card-kept")).to_be_visible()
    await expect(visitor.page.locator("#number")).to_have_count(0)
    await visitor.page.locator("#city").fill("London")
    await button.dblclick()
    await visitor.page.wait_for_url("**/orders/*")
    await visitor.until("Your order is paid.")
    assert await visitor.count_orders() == 1

    assert {fault for fault in visitor.faults if "another site" in fault} == {f"another site: {SCRIPT}"}
    visitor.faults[:] = [fault for fault in visitor.faults if "another site" not in fault]
