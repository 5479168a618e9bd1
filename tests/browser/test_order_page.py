"""The page of an order while something happens to the order."""

import pytest
from playwright.async_api import expect

from lab.services import scenario_shop
from tests.browser.conftest import NewVisitor
from tests.browser.visitor import BANK_ASKS, SAGA_MS, Look, Visitor
from tests.browser.walk import SKU


async def test_the_page_becomes_paid_without_being_loaded_again(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.page.evaluate("window.isTheSamePage = true")
    await visitor.confirm_in_another_tab(order)
    await visitor.until("Your order is paid.")
    assert await visitor.page.evaluate("window.isTheSamePage")
    await expect(visitor.page.locator(".top .count")).to_have_text("")


async def test_the_page_goes_on_after_a_reload_and_a_restart_of_the_service(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    await visitor.page.reload()
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    await visitor.page.evaluate("window.isTheSamePage = true")
    services = scenario_shop(visitor.stack)
    await services.stop("order")
    await services.start("order")
    visitor.faults.clear()  # what the page asked for meanwhile failed
    await visitor.confirm_in_another_tab(order)
    await visitor.until("Your order is paid.")
    assert await visitor.page.evaluate("window.isTheSamePage")


async def test_an_order_is_cancelled_before_it_is_paid(visitor: Visitor) -> None:
    await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    await visitor.page.get_by_role("button", name="Cancel the order").click()
    await visitor.until("Cancelled, as you asked.")
    await expect(visitor.bank_link).to_have_count(0)


async def test_the_receipt_is_printed_without_the_shop_around_it(visitor: Visitor) -> None:
    await visitor.order(SKU)
    await visitor.until("Your order is paid.")
    await visitor.page.emulate_media(media="print")  # which moves everything
    await expect(visitor.page.locator(".top")).to_be_hidden()
    await expect(visitor.page.locator("main form:visible, main .button:visible")).to_have_count(0)
    await expect(visitor.page.locator(".receipt")).to_contain_text("£8.95")
    await visitor.picture("receipt")
    visitor.faults[:] = [fault for fault in visitor.faults if "layout shift" not in fault]


@pytest.mark.parametrize("look", [Look(phone=True), Look(javascript=False)], ids=str)
async def test_a_line_is_returned_and_the_money_comes_back(new_visitor: NewVisitor, look: Look) -> None:
    """The warehouse ships the order by itself, and receives what comes back."""
    visitor = await new_visitor(look)
    await visitor.order(SKU, quantity=2)
    request = visitor.page.get_by_role("button", name="Request the return")
    await visitor.until_visible(request)
    await visitor.page.locator("main .pieces input").fill("1")
    await request.click()
    await expect(visitor.page.locator("main .entries li")).to_contain_text("1 × Red paper lantern")
    await visitor.until_visible(visitor.page.locator("main .receipt tfoot", has_text="-£8.95"))


async def test_the_lanes_show_the_saga_while_it_happens(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.page.get_by_role("link", name="Show what they do").click()
    lanes = visitor.page.locator("main .lanes")
    await expect(lanes.locator("li:not(.ahead)").filter(has_text="stock.reserved")).to_be_visible()
    await expect(lanes.locator("li.ahead").filter(has_text="order.paid")).to_be_visible()
    await visitor.confirm_in_another_tab(order)
    await expect(lanes.locator("li:not(.ahead)").filter(has_text="order.paid")).to_be_visible(timeout=SAGA_MS)
