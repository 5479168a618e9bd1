"""What happens while a search is typed."""

from contextlib import suppress

from playwright.async_api import Error, Route, expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look, Visitor


async def test_a_misspelt_product_is_chosen_with_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.open("/")
    field = page.get_by_role("combobox")
    await field.press_sequentially("lantren")
    listed = page.get_by_role("listbox").get_by_role("option")
    await expect(listed.first).to_have_text("Did you mean lantern?")
    await expect(field).to_have_attribute("aria-expanded", "true")
    await field.press("ArrowDown")
    await field.press("ArrowDown")
    await expect(field).to_have_attribute("aria-activedescendant", "suggestion-2")
    await expect(listed.nth(1)).to_have_attribute("aria-selected", "true")
    await field.press("ArrowUp")
    await field.press("ArrowUp")  # back in the field
    assert await field.get_attribute("aria-activedescendant") is None
    await field.press("ArrowUp")  # the last one
    await expect(listed.last).to_have_attribute("aria-selected", "true")
    await field.press("Escape")
    await expect(field).to_have_attribute("aria-expanded", "false")
    await expect(field).to_have_value("lantren")
    await field.press("ArrowDown")
    await expect(listed.nth(1)).to_be_visible()
    await field.press("ArrowDown")
    await field.press("ArrowDown")
    await field.press("Enter")
    await page.wait_for_url("**/p/LANTERN-RED")


async def test_a_stock_code_is_completed_and_chosen_with_a_tap(new_visitor: NewVisitor) -> None:
    visitor = await new_visitor(Look(phone=True))
    await visitor.open("/search")
    await visitor.page.get_by_role("combobox").press_sequentially("mug-b")
    await visitor.page.get_by_role("option", name="Blue stoneware mug").tap()
    await visitor.page.wait_for_url("**/p/MUG-BLUE")


async def test_enter_searches_for_what_was_typed(visitor: Visitor) -> None:
    await visitor.open("/")
    field = visitor.page.get_by_role("combobox")
    await field.press_sequentially("mug")
    await expect(visitor.page.get_by_role("option").first).to_be_visible()
    await field.press("Enter")
    await visitor.page.wait_for_url("**/search?q=mug")


async def test_only_the_last_answer_counts(visitor: Visitor) -> None:
    """The answer to what was typed first comes last, and is not shown."""
    page = visitor.page
    await visitor.open("/")
    field = page.get_by_role("combobox")
    held: list[Route] = []
    await page.route("**/suggest?q=teapot", lambda route: held.append(route))
    async with page.expect_request("**/suggest?q=teapot"):
        await field.fill("teapot")
    await field.fill("mug")
    await expect(page.get_by_role("option").first).to_contain_text("mug")
    for route in held:
        with suppress(Error):  # it was given up
            await route.continue_()
    await field.press("ArrowDown")
    await expect(page.get_by_role("option", name="teapot")).to_have_count(0)
    await expect(page.get_by_role("option").first).to_contain_text("mug")
