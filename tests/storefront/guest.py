"""A browser without JavaScript, on the pages of a running shop."""

import re
from dataclasses import dataclass
from html import unescape

import httpx

from scenarios.shopper import poll

SECONDS = 60
ADDRESS = {
    "email": "guest@example.com",
    "name": "Ada Neri",
    "street": "1 Example Street",
    "city": "London",
    "postcode": "N1 7AA",
    "country": "GB",
}


@dataclass
class Guest:
    """A browser without JavaScript, on the pages of a running shop."""

    http: httpx.AsyncClient
    page: str = ""
    path: str = ""

    async def open(self, path: str) -> str:
        response = await self.http.get(path, follow_redirects=True)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        self.page, self.path = response.text, response.url.path
        return self.page

    async def send(self, path: str, **fields: str) -> str:
        """A form of the page that was opened last. Opens the page that follows."""
        origin = str(self.http.base_url).rstrip("/")
        sent = {"csrf": self.value("csrf"), **fields}
        response = await self.http.post(path, data=sent, headers={"Origin": origin})
        assert response.status_code == 303, f"{path}: {response.status_code} {response.text}"
        return await self.open(response.headers["location"])

    async def order(self, card: str) -> None:
        await self.open("/checkout")
        hidden = {name: self.value(name) for name in ("key", "total", "currency", "lines")}
        await self.send("/checkout", **hidden, **ADDRESS, card=card)

    async def until(self, text: str) -> None:
        """Reload the page until it has the text. Raises `TimeoutError`."""
        await poll(lambda: self.open(self.path), lambda page: text in page, SECONDS, 1)

    def value(self, name: str) -> str:
        """Of a hidden field of the page."""
        return unescape(self.found(rf'name="{name}" value="([^"]*)"'))

    def found(self, pattern: str) -> str:
        match = re.search(pattern, self.page)
        assert match, f"{pattern} is not on {self.path}"
        return match[1]
