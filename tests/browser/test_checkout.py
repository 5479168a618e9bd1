"""The checkout, in a browser: errors, and one order however it is sent."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import ADDRESS, BANK_ASKS, IS_DECLINED, Look, Visitor
from tests.browser.walk import SKU


async def test_errors_are_beside_the_fields_and_in_a_summary_that_has_the_focus(visitor: Visitor) -> None:
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in()
    await visitor.page.locator("[name=email]").fill("nobody")
    await visitor.page.locator("[name=city]").fill("")
    await visitor.press_order_button()
    summary = visitor.page.locator(".errors")
    await expect(summary).to_be_focused()
    await expect(summary.get_by_role("link")).to_have_count(2)
    await expect(visitor.page.locator("[name=name]")).to_have_value(ADDRESS["name"])
    await summary.get_by_role("link").nth(1).click()
    city = visitor.page.locator("[name=city]")
    await expect(city).to_be_focused()
    await expect(city).to_have_accessible_description("Enter the town or city.")
    await city.fill("London")
    await visitor.page.locator("[name=email]").fill(ADDRESS["email"])
    await visitor.place_order()
    await visitor.until("Your order is paid.")


@pytest.mark.parametrize("look", [Look(), Look(javascript=False)], ids=str)
async def test_a_double_click_places_one_order(new_visitor: NewVisitor, look: Look) -> None:
    visitor = await new_visitor(look)
    await visitor.put_into_cart(SKU)
    await visitor.open("/checkout")
    await visitor.fill_in()
    await visitor.page.locator("main form[action='/checkout'] button.button").dblclick()
    await visitor.page.wait_for_url("**/orders/*")
    await visitor.until("Your order is paid.")
    assert await visitor.count_orders() == 1


async def test_back_and_once_more_is_the_same_order(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.page.go_back()
    await visitor.page.wait_for_url("**/checkout")
    await visitor.fill_in(BANK_ASKS)
    await visitor.place_order()
    assert visitor.path == order
    await visitor.page.reload()
    assert visitor.path == order
    assert await visitor.count_orders() == 1


async def test_a_declined_card_leaves_the_cart_and_another_card_pays(visitor: Visitor) -> None:
    await visitor.order(SKU, IS_DECLINED)
    await visitor.until("Cancelled: the payment was declined.")
    await visitor.page.locator("main").get_by_role("link", name="To the cart").click()
    await visitor.page.locator("main a[href='/checkout']").click()
    await visitor.fill_in()
    await visitor.place_order()
    await visitor.until("Your order is paid.")
    assert await visitor.count_orders() == 2
