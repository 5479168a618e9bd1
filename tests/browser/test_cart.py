"""The cart, in a browser."""

from playwright.async_api import expect

from tests.browser.visitor import Visitor
from tests.browser.walk import FEW, SKU


async def test_a_line_is_changed_and_removed_and_comes_back(visitor: Visitor) -> None:
    await visitor.put_into_cart(SKU, 2)
    await visitor.open("/cart")
    await visitor.change_quantity(SKU, 3)
    await expect(visitor.page.locator("main .total")).to_contain_text("£26.85")
    await expect(visitor.page.locator(".top .count")).to_have_text("3")
    await visitor.remove(SKU)
    await expect(visitor.page.locator("main")).to_contain_text("Your cart is empty.")
    await visitor.page.get_by_role("button", name="Undo").click()
    await expect(visitor.page.locator(".top .count")).to_have_text("3")
    await visitor.open("/cart")
    await expect(visitor.page.locator("main .total")).to_contain_text("£26.85")


async def test_what_is_not_there_is_said_before_paying(visitor: Visitor) -> None:
    await visitor.put_into_cart(FEW, 3)
    await visitor.open("/cart")
    await visitor.change_quantity(FEW, 4)
    await expect(visitor.page.locator("main .out")).to_have_text("Only 3 left.")
    await expect(visitor.page.locator("main [role=alert]")).to_be_visible()
    await expect(visitor.page.locator("main a[href='/checkout']")).to_have_count(0)
    await visitor.change_quantity(FEW, 1)
    await expect(visitor.page.locator("main a[href='/checkout']")).to_be_visible()


async def test_a_product_that_is_sold_out_has_no_button(visitor: Visitor) -> None:
    await visitor.open("/p/GLOVES-GARD")
    await expect(visitor.page.locator("main .out")).to_have_text("Sold out")
    await expect(visitor.page.locator("main form[action='/cart/add']")).to_have_count(0)
