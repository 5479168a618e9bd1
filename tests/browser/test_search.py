"""Finding products, in a browser."""

import re

from playwright.async_api import expect

from tests.browser.visitor import Visitor


async def test_products_are_suggested_while_one_types_and_chosen_with_the_keyboard(visitor: Visitor) -> None:
    await visitor.open("/")
    await visitor.page.locator("#q").press_sequentially("lanten", delay=20)
    options = visitor.page.get_by_role("option")
    await expect(options.nth(0)).to_have_text("Did you mean lantern?")
    await expect(options.nth(1)).to_contain_text("Red paper lantern")
    await visitor.page.keyboard.press("ArrowDown")
    await visitor.page.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_url("**/p/LANTERN-RED")


async def test_filters_are_in_the_address_and_chips_remove_them(visitor: Visitor) -> None:
    await visitor.open("/c/bath?in_stock=true&q=duck")
    cards = visitor.page.locator("main .card")
    await expect(cards).to_have_count(1)
    await visitor.page.get_by_role("link", name=re.compile("Remove the filter:.*duck")).click()
    await visitor.page.wait_for_url("**/c/bath?in_stock=true")
    await expect(cards).not_to_have_count(1)
    await visitor.page.go_back()
    await expect(cards).to_have_count(1)


async def test_nothing_found_leads_on(visitor: Visitor) -> None:
    await visitor.open("/search?q=xylophone")
    await expect(visitor.page.locator("main .empty")).to_contain_text("Nothing found")
    await visitor.page.locator("main .empty").get_by_role("link", name="All products").click()
    await expect(visitor.page.locator("main .card").first).to_be_visible()


async def test_the_cart_opens_beside_the_page_and_closes_with_escape(visitor: Visitor) -> None:
    await visitor.open("/p/LANTERN-RED")
    button = visitor.page.locator("main form.buy button")
    await button.click()
    drawer = visitor.page.get_by_role("dialog")
    await expect(drawer).to_contain_text("£8.95")
    await drawer.get_by_role("button", name="Remove Red paper lantern").click()
    await drawer.get_by_role("button", name="Undo").click()
    await expect(drawer.locator(".total")).to_contain_text("£8.95")
    await visitor.page.keyboard.press("Escape")
    await expect(drawer).to_be_hidden()
    await expect(button).to_be_focused()
