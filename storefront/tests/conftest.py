"""The storefront over a fake API: both as ASGI applications, no server and no network."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from storefront import order_pages
from storefront.app import app
from storefront.settings import Settings

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ORIGIN = "http://localhost:18000"
MUG: dict[str, Any] = {
    "sku": "MUG-1",
    "name": "Blue mug",
    "category": "kitchen",
    "price": 1250,
    "currency": "GBP",
    "status": "active",
    "available": 3,
    "description": "Holds a third of a litre.",
    "picture": "/pictures/mug.svg",
    "picture_alt": "A blue mug",
    "created_at": "2026-11-01T09:00:00Z",
    "updated_at": "2026-11-01T09:00:00Z",
}


@dataclass
class FakeApi:
    """Answers what a test has prepared, by method and path; anything else with 404. Keeps the requests.

    `override` answers first, unless with None.
    """

    answers: dict[str, tuple[int, Any, dict[str, str]]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    is_down: bool = False
    override: Callable[[httpx.Request], httpx.Response | None] | None = None

    def answer(self, call: str, body: Any = None, status: int = 200, **headers: str) -> None:
        """`call`: method and path, as `GET /v1/cart`."""
        self.answers[call] = (status, body, {name.replace("_", "-"): text for name, text in headers.items()})

    def refuse(self, call: str, status: int, kind: str = "about:blank", **members: Any) -> None:
        """Answer with a problem document of this type."""
        self.answer(call, {"type": kind, "title": "No", "status": status, **members}, status)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        if self.override and (response := self.override(request)):
            return response
        path = request.url.raw_path.decode().partition("?")[0]
        status, body, headers = self.answers.get(f"{request.method} {path}", (404, {}, {}))
        kind = "application/json" if status < 400 else "application/problem+json"
        content = b"" if status == 204 else json.dumps(body).encode()  # as FastAPI does
        return httpx.Response(status, content=content, headers={"Content-Type": kind, **headers})

    def sent(self, call: str) -> list[httpx.Request]:
        """The requests of this method and path."""
        return [one for one in self.requests if f"{one.method} {one.url.path}" == call]


@dataclass
class Browser:
    """A browser without JavaScript: it keeps cookies, and sends forms with the secret of the last page."""

    http: httpx.AsyncClient
    page: str = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        response = await self.http.get(path, headers=sent)
        self.page = response.text
        return response

    async def post(self, path: str, *, origin: str | None = ORIGIN, **fields: str) -> httpx.Response:
        """A form, as if it were on the page that was read last."""
        sent = {"csrf": self.csrf, **fields}
        response = await self.http.post(path, data=sent, headers={"Origin": origin} if origin else {})
        self.page = response.text
        return response

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page)
        return found[1] if found else ""

    def value(self, name: str) -> str:
        """Of a hidden field of the page that was read last."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        assert found, f"the page has no hidden field {name}"
        return found[1]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of orders are looked at at `NOW`, however long other tests have taken."""
    monkeypatch.setattr(order_pages, "_now", lambda: NOW)


@pytest.fixture
def api() -> FakeApi:
    fake = FakeApi()
    fake.answer("GET /v1/products", {"items": [MUG], "next": None, "corrected": {}})
    fake.answer("GET /v1/products/MUG-1", MUG)
    fake.answer("GET /v1/categories", {"items": [{"category": "kitchen", "count": 1, "picture": None}]})
    fake.answer(
        "POST /v1/guests",
        {"access_token": "guest-token", "token_type": "Bearer", "expires_in": 86400, "guest_id": "0190"},
        201,
    )
    return fake


@pytest.fixture
def settings() -> Settings:
    return Settings(
        gateway_url="http://gateway",
        shop_origins=f"{ORIGIN},http://127.0.0.1:18000",
        session_key=Fernet.generate_key().decode(),
    )


@pytest.fixture
async def browser(api: FakeApi, settings: Settings) -> AsyncIterator[Browser]:
    storefront = app(settings, httpx.MockTransport(api.handle))
    transport = httpx.ASGITransport(storefront, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        yield Browser(http)
