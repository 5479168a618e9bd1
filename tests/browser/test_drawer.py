"""The cart in a drawer beside the page."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look, Visitor


def drawer(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Your cart")


async def add(visitor: Visitor, sku: str, quantity: int = 1) -> Locator:
    await visitor.open(f"/p/{sku}")
    await visitor.page.locator("form.buy input[name=quantity]").fill(str(quantity))
    await visitor.page.locator("form.buy button").click()
    await expect(drawer(visitor.page)).to_be_visible()
    return drawer(visitor.page)


@pytest.mark.parametrize("look", [Look(), Look(phone=True, dark=True)], ids=str)
async def test_what_is_added_is_shown_and_more_can_be_added(new_visitor: NewVisitor, look: Look) -> None:
    visitor = await new_visitor(look)
    page = visitor.page
    shown = await add(visitor, "MUG-BLUE", 2)
    await expect(shown.get_by_role("status")).to_contain_text("2 pieces were put into the cart.")
    await expect(page.locator(".top .count")).to_have_text("2")
    await visitor.picture("drawer")
    assert visitor.path == "/p/MUG-BLUE"
    await page.keyboard.press("Escape")
    await expect(shown).to_be_hidden()
    # The first pieces have made a guest of a visitor: the page's form works all the same.
    await page.locator("form.buy button").click()
    await expect(page.locator(".top .count")).to_have_text("4")
    await shown.get_by_role("link", name="To the checkout").click()
    await page.wait_for_url("**/checkout")


async def test_a_line_is_changed_removed_and_put_back_with_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    shown = await add(visitor, "MUG-BLUE")
    quantity = shown.get_by_label("Quantity of Blue stoneware mug")
    await quantity.fill("3")
    await quantity.press("Enter")
    await expect(shown.get_by_role("status")).to_have_text("The quantity was changed.")
    await expect(page.locator(".top .count")).to_have_text("3")
    await expect(quantity).to_be_focused()
    await shown.get_by_role("button", name="Remove Blue stoneware mug").press("Enter")
    await expect(shown.get_by_text("Your cart is empty.")).to_be_visible()
    undo = shown.get_by_role("button", name="Undo")
    await expect(undo).to_be_focused()
    await undo.press("Enter")
    await expect(quantity).to_have_value("3")
    for _ in range(20):  # the focus stays inside
        await page.keyboard.press("Tab")
        assert await page.evaluate("!document.activeElement.closest('main, header, footer')")


async def test_the_link_opens_it_and_gets_the_focus_back(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open("/search")
    link = page.locator(".top").get_by_role("link", name="Cart")
    await link.press("Enter")
    await expect(drawer(page).get_by_text("Your cart is empty.")).to_be_visible()
    await drawer(page).get_by_role("button", name="Close").click()
    await expect(link).to_be_focused()
    assert visitor.path == "/search"


async def test_a_change_that_another_tab_has_made_is_not_lost(visitor: Visitor) -> None:
    shown = await add(visitor, "MUG-BLUE", 2)
    other = await visitor.new_tab()
    await other.goto("/cart")
    await other.get_by_label("Quantity of Blue stoneware mug").fill("7")
    await other.get_by_role("button", name="Change").click()
    await expect(other.locator(".notice")).to_contain_text("The quantity was changed.")
    await shown.get_by_role("button", name="Remove Blue stoneware mug").click()
    await expect(shown.get_by_role("status")).to_contain_text("It has 7 pieces of that product.")
    await expect(shown.get_by_label("Quantity of Blue stoneware mug")).to_have_value("7")


async def test_while_there_is_no_answer_the_browser_shows_what_it_shows_without_a_script(
    visitor: Visitor,
) -> None:
    page = visitor.page
    await visitor.open("/p/MUG-BLUE")
    await page.route("**/cart", lambda route: route.abort(), times=1)
    await page.locator("form.buy button").click()
    await expect(page.locator(".notice")).to_contain_text("1 piece was put into the cart.")
    await expect(page.locator(".top .count")).to_have_text("1")  # once, though it was sent twice
