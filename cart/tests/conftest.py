"""The service's API over a database of the test's own, with a fake product service."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from cart.main import service
from cart.products import Products
from cart.settings import Settings
from chassis.errors import Unavailable
from chassis.http.identity import TokenVerifier
from chassis.http.jwks import PublishedKeys
from chassis.http.provided import registry
from chassis.outbound import Answer, Params, RequestRejected, ServiceClient
from chassis.storage.database import connect
from chassis.testing import TokenMint

MINT = TokenMint("saga-shop", "saga-shop")

Clients = Callable[..., httpx.AsyncClient]
"""`clients(owner, "guest")`: a client with that owner's token."""


class FakeProduct(ServiceClient):
    """Responds as the product service does, from a dict; `reads` has the skus of each call."""

    def __init__(self) -> None:
        self.products: dict[str, dict[str, Any]] = {}
        self.down = False
        self.refuses = False
        self.reads: list[Sequence[str]] = []

    def put(self, sku: str, **changed: Any) -> None:
        self.products[sku] = {
            "sku": sku,
            "name": f"Product {sku}",
            "category": None,
            "price": 100,
            "currency": "GBP",
            "status": "active",
            "available": 5,
            **changed,
        }

    async def get_json(self, path: str, *, params: Params | None = None, token: str | None = None) -> Answer:
        skus = cast("Sequence[str]", (params or {})["sku"])
        self.reads.append(skus)
        if self.down:
            raise Unavailable("product does not answer.")
        if self.refuses:
            raise RequestRejected("product", 400, b"")
        items = [self.products[sku] for sku in skus if sku in self.products]
        return Answer(200, httpx.Response(200, json={"items": items}).content)


@pytest.fixture
def product_service() -> FakeProduct:
    product_service = FakeProduct()
    for sku in "ABC":
        product_service.put(sku)
    return product_service


@pytest.fixture
def settings(migrated: Callable[[str], str]) -> Settings:
    return Settings(
        database_url=migrated("cart"),
        amqp_url="amqp://nobody",
        jwks_url="http://nobody",
        token_issuer="saga-shop",
        token_audience="saga-shop",
        product_url="http://nobody",
        role="api",
    )


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = connect(settings.database_url, pool_size=2, statement_timeout=10)
    yield engine
    await engine.dispose()


@pytest.fixture
async def clients(settings: Settings, product_service: FakeProduct) -> AsyncIterator[Clients]:
    app = service.app(settings)
    issuer = httpx.MockTransport(lambda _: httpx.Response(200, json=MINT.jwks))
    keys = PublishedKeys("http://auth", http=httpx.AsyncClient(transport=issuer))
    registry(app).provide(TokenVerifier(keys, "saga-shop", "saga-shop"))
    registry(app).provide(Products(product_service, known_for=30))
    transport = httpx.ASGITransport(app)

    def client(owner: UUID, role: str = "shopper") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {MINT.token(owner, role=role)}"}
        return httpx.AsyncClient(transport=transport, base_url="http://cart", headers=headers)

    async with app.router.lifespan_context(app):
        yield client
        await keys.aclose()


@pytest.fixture
def shopper(clients: Clients) -> httpx.AsyncClient:
    return clients(uuid4())
