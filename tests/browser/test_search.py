"""Finding products, in a browser."""

import re

from playwright.async_api import expect

from tests.browser.visitor import Visitor


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
