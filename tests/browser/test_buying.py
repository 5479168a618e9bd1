"""The short run: a misspelt product is found and bought with a card whose bank asks."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import BANK_ASKS, Look, Visitor


@pytest.mark.parametrize("look", [Look(), Look(phone=True, dark=True), Look(javascript=False)], ids=str)
async def test_a_misspelt_product_is_found_and_bought_with_a_card_whose_bank_asks(
    new_visitor: NewVisitor, look: Look
) -> None:
    visitor = await new_visitor(look)
    await find(visitor, "lanten", "lantern")
    await visitor.page.locator("main form[action='/cart/add'] button").click()
    await expect(visitor.page.locator(".top .count")).to_have_text("1")
    await visitor.open("/checkout")
    await visitor.fill_in(BANK_ASKS)
    await visitor.place_order()
    await visitor.confirm_with_the_bank()
    await visitor.until("Your order is paid.")


async def find(visitor: Visitor, typed: str, name: str) -> None:
    """Search as typed, and open the first product with the name."""
    await visitor.open("/")
    await visitor.page.locator("#q").fill(typed)
    await visitor.page.locator("#q").press("Enter")
    await visitor.page.locator("main").get_by_role("link", name=name).first.click()
