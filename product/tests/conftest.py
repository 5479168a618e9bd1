"""The service's API over a database of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from chassis.http.identity import TokenVerifier
from chassis.http.jwks import PublishedKeys
from chassis.http.provided import registry
from chassis.storage.database import Transactions, connect
from chassis.testing import TokenMint
from product.main import service
from product.settings import Settings

ADMIN = UUID(int=1)
MINT = TokenMint("saga-shop", "saga-shop")

Create = Callable[..., Awaitable[None]]
"""`await create("A", price=295, stock=3)`: a product that is for sale."""


def authorization(role: str, *scopes: str) -> dict[str, str]:
    """The header of a caller with that role and these scopes."""
    return {"authorization": f"Bearer {MINT.token(ADMIN, *scopes, role=role)}"}


@pytest.fixture
def settings(migrated: Callable[[str], str]) -> Settings:
    return Settings(
        database_url=migrated("product"),
        amqp_url="amqp://nobody",
        jwks_url="http://nobody",
        token_issuer="saga-shop",
        token_audience="saga-shop",
        role="api",
        vocabulary_age=0.001,
        counts_age=0.001,
    )


@pytest.fixture
async def transactions(settings: Settings) -> AsyncIterator[Transactions]:
    engine = connect(settings.database_url, pool_size=4, statement_timeout=10)
    yield Transactions(engine, "product", lease=0)
    await engine.dispose()


@pytest.fixture
async def anybody(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    app = service.app(settings)
    issuer = httpx.MockTransport(lambda _: httpx.Response(200, json=MINT.jwks))
    keys = PublishedKeys("http://auth", http=httpx.AsyncClient(transport=issuer))
    registry(app).provide(TokenVerifier(keys, "saga-shop", "saga-shop"))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://product") as client,
    ):
        yield client
    await keys.aclose()


@pytest.fixture
async def admin(anybody: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    headers = authorization("admin", "catalogue:write")
    async with httpx.AsyncClient(
        transport=anybody._transport, base_url=anybody.base_url, headers=headers
    ) as client:
        yield client


@pytest.fixture
def create(admin: httpx.AsyncClient) -> Create:
    async def create(sku: str, **given: Any) -> None:
        product = {"sku": sku, "name": f"Product {sku}", "price": 100, **given}
        answer = await admin.post("/v1/products", json=product)
        assert answer.status_code == 201, answer.text

    return create
