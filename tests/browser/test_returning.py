"""The page of an order after it was paid: the warehouse ships, goods come back; and many tabs look on."""

from playwright.async_api import Locator, Page, expect

from lab.services import scenario_shop
from tests.browser.visitor import BANK_ASKS, SAGA_MS, Visitor
from tests.browser.walk import SKU

# Counts how often a live region changes, as assistive technology is informed of it.
_COUNT_STATES = """() => {
    window.states = [];
    const state = document.querySelector("[role=status].state");
    new MutationObserver(() => window.states.push(state.textContent)).observe(state, { childList: true });
}"""
_TABS = 7  # an order has five streams of one shopper at most


def row(page: Page, type_: str) -> Locator:
    """Of an event among the lanes."""
    return page.locator(".lanes li").filter(has=page.locator("code", has_text=type_))


async def test_a_line_is_returned_and_refunded_while_the_page_stays(visitor: Visitor) -> None:
    order = await visitor.order(SKU, quantity=3)
    await visitor.until("was shipped.")
    await visitor.open(f"{order}?how=1")
    await visitor.page.get_by_label("Red paper lantern").fill("1")
    await visitor.page.get_by_role("button", name="Request the return").click()
    await visitor.until("Your return is requested.")
    await visitor.page.evaluate("window.isTheSamePage = true")
    await visitor.page.evaluate(_COUNT_STATES)
    await visitor.page.get_by_text("Return something").click()
    entered = visitor.page.get_by_label("Red paper lantern")
    await entered.fill("2")
    await visitor.until("your money was sent back to you")
    await expect(row(visitor.page, "payment.refunded_in_part")).not_to_have_class("ahead")
    assert await visitor.page.evaluate("window.isTheSamePage")
    await expect(entered).to_have_value("2")
    await expect(entered).to_be_focused()
    states = await visitor.page.evaluate("window.states")
    assert len(states) == len(set(states))
    await visitor.picture("order-returned")


async def test_more_tabs_than_there_may_be_streams_all_become_paid(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    tabs = [await visitor.new_tab() for _ in range(_TABS)]
    for tab in tabs:
        await tab.goto(order)
    await visitor.confirm_with_the_bank()
    for tab in tabs:
        await expect(tab.locator(".state")).to_contain_text("Your order is paid", timeout=2 * SAGA_MS)


async def test_the_page_goes_on_after_a_restart_of_the_storefront(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    await visitor.page.evaluate("window.isTheSamePage = true")
    services = scenario_shop(visitor.stack)
    await services.stop("storefront")
    await services.start("storefront")
    visitor.faults.clear()  # what the page asked for meanwhile failed
    await visitor.confirm_in_another_tab(order)
    await visitor.until("Your order is paid.")
    assert await visitor.page.evaluate("window.isTheSamePage")


async def test_a_hidden_page_asks_for_nothing_and_catches_up_when_it_is_shown(visitor: Visitor) -> None:
    order = await visitor.order(SKU, BANK_ASKS)
    await visitor.bank_link.wait_for(timeout=SAGA_MS)
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await visitor.page.evaluate(hide, True)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page, visitor.page = visitor.page, await visitor.new_tab()
    await visitor.open(order)
    await visitor.confirm_with_the_bank()
    await visitor.until("Your order is paid.")
    assert asked == []
    visitor.page = page
    await visitor.page.evaluate(hide, False)
    await visitor.until("Your order is paid.")
