"""`make pictures`: takes the pictures of README.md, from a shop on this machine with the demo catalogue."""

import asyncio
from base64 import b64decode
from pathlib import Path

from devstack import Stack
from tests.browser.chromium import started
from tests.browser.visitor import BANK_ASKS, Look, Visitor, arrival

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SKU = "LANTERN-RED"


async def main() -> None:
    stack = Stack.load()
    async with started() as browser:
        async with arrival(browser, stack, Look()) as visitor:
            await visitor.open("/")
            await _take(visitor, "storefront-home")
            await _ready_to_order(visitor)
            await _take(visitor, "storefront-checkout")
            await visitor.place_order()
            await visitor.bank_link.wait_for()
            await visitor.page.set_viewport_size({"width": 1280, "height": 1500})
            await visitor.open(f"{visitor.path}?how=1")
            await _take(visitor, "storefront-order")
        async with arrival(browser, stack, Look(phone=True)) as visitor:
            await visitor.open("/c/kitchen")
            await _take(visitor, "storefront-phone")


async def _ready_to_order(visitor: Visitor) -> None:
    await visitor.put_into_cart("TEAPOT-RED")
    await visitor.put_into_cart(SKU, 2)
    await visitor.open("/checkout")
    await visitor.fill_in(BANK_ASKS)
    await visitor.page.evaluate("scrollTo(0, 0); document.activeElement.blur()")


async def _take(visitor: Visitor, name: str) -> None:
    """What the window shows, as WebP."""
    await visitor.page.wait_for_load_state("networkidle")
    chromium = await visitor.context.new_cdp_session(visitor.page)
    taken = await chromium.send("Page.captureScreenshot", {"format": "webp", "quality": 80})
    (FOLDER / f"{name}.webp").write_bytes(b64decode(taken["data"]))


if __name__ == "__main__":
    asyncio.run(main())
