"""The page of an order while something happens to the order."""

from playwright.async_api import expect

from lab.services import scenario_shop
from tests.browser.visitor import BANK_ASKS, SAGA_MS, Visitor
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


async def test_a_paid_order_is_cancelled_and_its_page_shows_the_refund(visitor: Visitor) -> None:
    await visitor.order(SKU)
    await visitor.until("Your order is paid.")
    await visitor.page.get_by_role("button", name="Cancel the order").click()
    await visitor.until("Cancelled, as you asked.")
    await visitor.until("Refunded")


async def test_the_receipt_is_printed_without_the_shop_around_it(visitor: Visitor) -> None:
    await visitor.order(SKU)
    await visitor.until("Your order is paid.")
    await visitor.page.emulate_media(media="print")
    await expect(visitor.page.locator(".top")).to_be_hidden()
    await expect(visitor.page.locator("main form:visible, main .button:visible")).to_have_count(0)
    await expect(visitor.page.locator(".receipt")).to_contain_text("£8.95")
    await visitor.picture("receipt")
