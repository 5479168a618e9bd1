"""The whole way with the keyboard alone."""

from playwright.async_api import Locator, expect

from tests.browser.visitor import ADDRESS, BANK_ASKS, SAGA_MS, Visitor

_MOST_TABS = 120


async def test_the_keyboard_is_enough_from_the_search_to_the_refund(visitor: Visitor) -> None:
    keyboard, main = visitor.page.keyboard, visitor.page.locator("main")
    await visitor.open("/")
    await keyboard.press("Tab")
    await expect(visitor.page.locator(".skip")).to_be_focused()
    await tab_to(visitor, visitor.page.locator("#q"))
    await keyboard.type("lanten")
    await keyboard.press("Enter")
    await visitor.page.wait_for_url("**/search?*")
    await go(visitor, main.get_by_role("link", name="lantern").first, "**/p/*")
    await tab_to(visitor, main.get_by_role("button", name="Add to cart"))
    await keyboard.press("Enter")
    await expect(visitor.page.locator(".top .count")).to_have_text("1")
    await visitor.open("/cart")
    await go(visitor, main.locator("a[href='/checkout']"), "**/checkout")
    for name, value in ADDRESS.items():
        await tab_to(visitor, main.locator(f"[name={name}]"))
        await keyboard.type(value)
    await tab_to(visitor, main.locator("[name=card]:checked"))
    while not await main.locator(f"[name=card][value={BANK_ASKS}]").is_checked():
        await keyboard.press("ArrowDown")
    await go(visitor, main.locator("form[action='/checkout'] button.button"), "**/orders/*")
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    await go(visitor, visitor.bank_link, "**/3d_secure/**")
    await go(visitor, visitor.page.locator("button[value=complete]"), "**/orders/*")
    await visitor.until("Your order is paid.")
    request = main.get_by_role("button", name="Request the return")
    await visitor.until_visible(request)
    await tab_to(visitor, main.locator(".pieces input"))
    await keyboard.press("Control+a")
    await keyboard.type("1")
    await tab_to(visitor, request)
    await keyboard.press("Enter")
    await visitor.until("your money was sent back to you")


async def tab_to(visitor: Visitor, wanted: Locator) -> None:
    """Press Tab until the element has the focus, which must be visible there."""
    await wanted.wait_for()
    for _ in range(_MOST_TABS):
        await visitor.page.keyboard.press("Tab")
        if await wanted.evaluate("one => one === document.activeElement"):
            ring = await wanted.evaluate("one => getComputedStyle(one).outlineStyle")
            assert ring != "none", f"{wanted} shows no focus"
            return
    raise AssertionError(f"{wanted} cannot be reached by Tab")


async def go(visitor: Visitor, link: Locator, to: str) -> None:
    await tab_to(visitor, link)
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_url(to)
