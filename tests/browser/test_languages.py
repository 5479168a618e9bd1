"""Two languages: the browser's, and another that is chosen."""

from playwright.async_api import expect

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look
from tests.browser.walk import SKU


async def test_the_pages_are_in_the_browsers_language_until_another_is_chosen(
    new_visitor: NewVisitor,
) -> None:
    visitor = await new_visitor(Look(language="de"))
    await visitor.open(f"/p/{SKU}")
    html = visitor.page.locator("html")
    await expect(html).to_have_attribute("lang", "de")
    await expect(visitor.page.locator("main .price").first).to_have_text("8,95\u00a0£")
    await visitor.page.get_by_role("button", name="English").click()
    await expect(html).to_have_attribute("lang", "en")
    await expect(visitor.page.locator("main .price").first).to_have_text("£8.95")
    await visitor.open("/")
    await expect(html).to_have_attribute("lang", "en")
