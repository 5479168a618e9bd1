"""A guest shops on the storefront's pages, with a browser that has no JavaScript."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

from scenarios.play import Outcome, Play, logged_in, scenario
from scenarios.shopper import Shopper, Unexpected

ADDRESS = {
    "name": "Ada Neri",
    "street": "1 Example Street",
    "city": "London",
    "postcode": "N1 7AA",
    "country": "GB",
}


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def storefront(play: Play) -> None:
    """A guest buys on the pages, without JavaScript: product, cart, checkout, and the order as it is paid."""
    async with httpx.AsyncClient(base_url=play.shop.gateway_url, timeout=30) as http:
        browser = Browser(http)
        await browser.open("/")
        await browser.open(f"/p/{play.sku}")
        await browser.send("/cart/add", quantity="2")
        await browser.open("/cart")
        play.claim("the cart shows its total", "£10.00" in browser.page)
        await browser.open("/checkout")
        await browser.send("/checkout", **ADDRESS, email=play.shopper.email, card="pm_card_visa")
        play.order_id = browser.path.removeprefix("/orders/")
        # The guest's token is in the browser's cookie, which only the storefront can read.
        admin = (await logged_in(play.http, play.shop))["Authorization"].removeprefix("Bearer ")
        play.shopper = Shopper(play.http, admin, play.shopper.email)
        order = await play.shopper.order(play.order_id)
        play.number = order["number"]
        await play.until("paid")
        await browser.open(browser.path)
        play.claim("the order's page says that it is paid", "Your order is paid" in browser.page)
        play.claim("and does not reload any more", 'http-equiv="refresh"' not in browser.page)


@dataclass
class Browser:
    """Keeps cookies, and sends forms with the hidden fields that they have."""

    http: httpx.AsyncClient
    page: str = ""
    path: str = ""

    async def open(self, path: str) -> str:
        """The page, after redirects. Raises `Unexpected` for an error."""
        response = await self.http.get(path, follow_redirects=True)
        if not response.is_success:
            raise Unexpected(f"GET {path}: {response.status_code}")
        self.page, self.path = response.text, response.url.path
        return self.page

    async def send(self, path: str, **entered: str) -> None:
        """The page's form for that path, and the page that it leads to. Raises `Unexpected` if there is none,
        or if it is not accepted."""
        forms = _Forms()
        forms.feed(self.page)
        if path not in forms.hidden:
            raise Unexpected(f"no form for {path} on {self.path}")
        response = await self.http.post(path, data={**forms.hidden[path], **entered})
        if response.status_code != httpx.codes.SEE_OTHER:
            raise Unexpected(f"POST {path}: {response.status_code} {response.text[:2000]}")
        await self.open(response.headers["location"])


@dataclass
class _Forms(HTMLParser):
    """The hidden fields of a page's forms, by their actions."""

    hidden: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._action = given.get("action", "")
            self.hidden.setdefault(self._action, {})
        if tag == "input" and given.get("type") == "hidden" and self._action:
            self.hidden[self._action][given["name"]] = given.get("value", "")
