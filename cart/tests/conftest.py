"""The service's API over a database of the test's own, with a fake product service."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from cart.main import service
from cart.products import Products
from cart.settings import Settings
from chassis.errors import Unavailable
from chassis.http.identity import Principal, TokenVerifier
from chassis.http.provided import registry
from chassis.outbound import Answer, RequestRejected


class FakeProduct:
    """Responds as the product service does, from a dict; `reads` has the skus of each call."""

    name = "product"

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

    async def get_json(self, path: str, *, params: Any, token: str | None = None) -> Answer:
        self.reads.append(params["sku"])
        if self.down:
            raise Unavailable("product does not answer.")
        if self.refuses:
            raise RequestRejected("product", 400, b"")
        items = [self.products[sku] for sku in params["sku"] if sku in self.products]
        return Answer(200, httpx.Response(200, json={"items": items}).content)


class OwnerVerifier:
    """A token verifier: the token is the owner's id and role."""

    async def verify(self, token: str) -> Principal:
        owner, _, role = token.partition(".")
        return Principal(UUID(owner), role, None, token)


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
        token_issuer="shop",
        token_audience="shop",
        product_url="http://nobody",
        role="api",
    )


@pytest.fixture
async def clients(
    settings: Settings, product_service: FakeProduct
) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """`clients(owner, "guest")`: a client with that owner's token."""
    app = service.app(settings)
    registry(app).provide(OwnerVerifier(), TokenVerifier)
    registry(app).provide(Products(product_service, known_for=30))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)

    def client(owner: UUID, role: str = "shopper") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {owner}.{role}"}
        return httpx.AsyncClient(transport=transport, base_url="http://cart", headers=headers)

    async with app.router.lifespan_context(app):
        yield client


@pytest.fixture
def shopper(clients: Callable[[UUID], httpx.AsyncClient]) -> httpx.AsyncClient:
    return clients(uuid4())
