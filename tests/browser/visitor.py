"""Somebody with a browser in front of the shop. What is wrong with a page on the way is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    Response,
    expect,
)

from devstack import Stack

_LOCAL = Path(__file__).parents[2] / ".local"
PICTURES = _LOCAL / "browser"
LIGHTHOUSE = _LOCAL / "lighthouse"
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
WAIT_MS = 20_000
SAGA_MS = 60_000  # until an order is paid or cancelled, on a busy machine
LOCALES = {"en": "en-GB", "de": "de-DE"}
ADDRESS = {
    "email": "guest@example.com",
    "name": "Ada Neri",
    "street": "1 Example Street",
    "postcode": "N1 7AA",
    "city": "London",
}
PAYS = "pm_card_visa"
IS_DECLINED = "pm_card_visa_chargeDeclined"
BANK_ASKS = "pm_card_authenticationRequired"
_SCRIPT = Path(__file__).with_suffix(".js")
expect.set_options(timeout=WAIT_MS)


@dataclass(frozen=True)
class Look:
    """What the visitor's browser is like."""

    phone: bool = False
    dark: bool = False
    language: str = "en"
    javascript: bool = True

    def __str__(self) -> str:
        device, theme = "phone" if self.phone else "desktop", "dark" if self.dark else "light"
        return f"{device}-{theme}-{self.language}" + ("" if self.javascript else "-plain")


@dataclass
class Visitor:
    """One browser context: cookies, pages and looks of its own.

    `page` is the open tab. `faults` are errors in the console, requests to other sites, files that are
    missing, what moves by itself (CLS), and pages wider than the window: none may be left at the end.
    """

    context: BrowserContext
    stack: Stack
    look: Look
    faults: list[str] = field(default_factory=list)
    page: Page = field(init=False)

    async def open(self, path: str) -> None:
        """A page of the shop, which has to exist."""
        response = await self.page.goto(path)
        assert response is not None, path
        assert response.ok, f"{path}: {response.status}"

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    async def new_tab(self) -> Page:
        """One more tab of the same browser."""
        page = await self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", self._check_error)
        return page

    async def watch(self) -> None:
        """Keep what is wrong with any page from now on."""
        self.context.on("console", self._check_message)
        self.context.on("request", self._check_request)
        self.context.on("response", self._check_response)
        await self.context.expose_function("reportFault", lambda fault: self.faults.append(fault))
        await self.context.add_init_script(path=_SCRIPT)

    async def picture(self, name: str) -> None:
        """Takes a picture of the whole page, to be looked at: `.local/browser/NAME-LOOK.png`."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}-{self.look}.png", full_page=True)

    async def put_into_cart(self, sku: str, quantity: int = 1) -> None:
        await self.open(f"/p/{sku}")
        await self.page.locator("main input[name=quantity]").fill(str(quantity))
        await self.page.locator("main form[action='/cart/add'] button").click()
        await self.page.locator(".notice a[href='/cart']").wait_for()

    async def change_quantity(self, sku: str, quantity: int) -> None:
        """Of a line of the cart, which is open."""
        form = self.page.locator("main form[action='/cart/change']").filter(has=self._sku(sku))
        await form.locator("[name=quantity]").fill(str(quantity))
        async with self.page.expect_navigation():
            await form.locator("button").click()

    async def remove(self, sku: str) -> None:
        """A line of the cart, which is open."""
        form = self.page.locator("main form[action='/cart/remove']").filter(has=self._sku(sku))
        async with self.page.expect_navigation():
            await form.locator("button").click()

    async def fill_in(self, card: str | None = PAYS) -> None:
        """The form of the checkout; without a card, all but the payment."""
        for name, value in ADDRESS.items():
            await self.page.locator(f"main [name={name}]").fill(value)
        if card is not None:
            await self.page.locator(f"main [name=card][value={card}]").check()

    async def press_order_button(self) -> None:
        await self.page.locator("main form[action='/checkout'] button.button").click()

    async def place_order(self) -> None:
        """Presses the button, and arrives at the order's page."""
        await self.press_order_button()
        await self.page.wait_for_url("**/orders/*")

    async def order(self, sku: str, card: str = PAYS, quantity: int = 1) -> str:
        """Buys a product. Returns the path of the order's page, which is open."""
        await self.put_into_cart(sku, quantity)
        await self.open("/checkout")
        await self.fill_in(card)
        await self.place_order()
        return self.path

    async def send(self, action: str, **fields: str) -> None:
        """Fill in a form of the page, and send it."""
        form = self.page.locator(f"main form[action='{action}']")
        for name, value in fields.items():
            await form.locator(f"[name={name}]").fill(value)
        async with self.page.expect_navigation():
            await form.locator("button").first.click()

    async def register(self) -> tuple[str, str]:
        """Open an account. Returns its address and password."""
        email, password = f"{uuid4().hex[:12]}@example.com", "correct horse battery"
        await self.open("/register")
        await self.send("/register", email=email, password=password)
        await expect(self.page.locator(".top a[href='/account']")).to_be_visible()
        return email, password

    async def until(self, text: str) -> None:
        """Until the page has the text, which the saga brings."""
        await expect(self.page.locator("main")).to_contain_text(text, timeout=SAGA_MS)

    async def until_visible(self, wanted: Locator) -> None:
        """Until the page has it, which the saga brings. Without JavaScript the visitor loads the page again,
        as one does."""
        if self.look.javascript:
            await wanted.wait_for(timeout=SAGA_MS)
            return
        async with asyncio.timeout(SAGA_MS / 1000):
            while not await wanted.is_visible():
                await asyncio.sleep(1)
                await self.page.reload()

    async def until_ended(self) -> None:
        """Until the order, whose page is open, is paid or cancelled."""
        await expect(self.page.locator("main .steps .waiting")).to_have_count(0, timeout=SAGA_MS)

    async def confirm_with_the_bank(self) -> None:
        """From the order's page over the bank's, and back."""
        await self.bank_link.click(timeout=SAGA_MS)
        await self.page.locator("button[value=complete]").click()
        await self.page.wait_for_url("**/orders/*")

    async def confirm_in_another_tab(self, order: str) -> None:
        """With the bank, while this tab stays at the order."""
        page, self.page = self.page, await self.new_tab()
        await self.open(order)
        await self.confirm_with_the_bank()
        await self.page.close()
        self.page = page

    async def count_orders(self) -> int:
        """Of this visitor, as the list of orders shows."""
        await self.open("/orders")
        return await self.page.locator("main tbody a").count()

    @property
    def bank_link(self) -> Locator:
        return self.page.locator(f"main a[href^='{self.stack.sandbox_url}']")

    def _sku(self, sku: str) -> Locator:
        return self.page.locator(f"[name=sku][value='{sku}']")

    def _check_error(self, error: Error) -> None:
        # On a busy machine a page may come too late for its transition, and Chromium says so.
        if "Transition was aborted" not in error.message:
            self.faults.append(f"script: {error}")

    def _check_message(self, message: ConsoleMessage) -> None:
        # What could not be loaded is checked by its response.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _check_request(self, request: Request) -> None:
        known = (self.stack.gateway_url, self.stack.sandbox_url)  # the second is the bank's page
        if not request.url.startswith(("data:", "blob:", *(f"{one}/" for one in known))):
            self.faults.append(f"another site: {request.url}")

    def _check_response(self, response: Response) -> None:
        is_page = response.request.resource_type == "document"
        if response.status >= (500 if is_page else 400):
            self.faults.append(f"{response.request.method} {response.url}: {response.status}")


@asynccontextmanager
async def arrival(browser: Browser, stack: Stack, look: Look) -> AsyncIterator[Visitor]:
    """A visitor with a fresh browser. Leaving closes it."""
    context = await browser.new_context(
        base_url=stack.gateway_url,
        viewport=PHONE if look.phone else DESKTOP,  # type: ignore[arg-type]
        device_scale_factor=2 if look.phone else 1,
        has_touch=look.phone,
        is_mobile=look.phone,
        color_scheme="dark" if look.dark else "light",
        locale=LOCALES[look.language],
        timezone_id="Europe/London",
        java_script_enabled=look.javascript,
    )
    visitor = Visitor(context, stack, look)
    try:
        await visitor.watch()
        visitor.page = await visitor.new_tab()
        yield visitor
        await visitor.page.wait_for_load_state()
    finally:
        await context.close()
