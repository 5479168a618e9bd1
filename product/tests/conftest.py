"""Events about one order, and the service's API over a database of the test's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from chassis.http.identity import Principal, TokenVerifier
from chassis.http.problems import Unauthenticated
from chassis.http.provided import registry
from contracts import OrderCancelled, OrderCreated, OrderPaid, OrderReturned
from contracts.testing import line, order_cancelled, order_created, order_paid, order_returned
from product.main import service
from product.settings import Settings

ADMIN = UUID(int=1)


class Order:
    """Builds the events of one order; its lines are given as pieces by sku."""

    def __init__(self, **pieces: int) -> None:
        self.id = uuid4()
        self._deadline = datetime.now(UTC) + timedelta(minutes=15)
        self._lines = [line(sku, quantity) for sku, quantity in pieces.items()]

    def created(self) -> OrderCreated:
        return order_created(order_id=self.id, lines=self._lines, deadline=self._deadline)

    def paid(self) -> OrderPaid:
        return order_paid(order_id=self.id, lines=self._lines)

    def cancelled(self) -> OrderCancelled:
        return order_cancelled(order_id=self.id, lines=self._lines)

    def returned(self, **pieces: int) -> OrderReturned:
        lines = [line(sku, quantity) for sku, quantity in pieces.items()]
        return order_returned(order_id=self.id, return_id=uuid4(), lines=lines)


@pytest.fixture
def order() -> type[Order]:
    return Order


class RoleVerifier:
    """A token verifier: the token is the role."""

    async def verify(self, token: str) -> Principal:
        if token not in ("admin", "shopper", "guest"):
            raise Unauthenticated("unknown", error="invalid_token")
        scopes = frozenset({"catalogue:write"}) if token == "admin" else frozenset[str]()
        return Principal(ADMIN, token, None, token, scopes)


@pytest.fixture
def settings(migrated: Callable[[str], str]) -> Settings:
    return Settings(
        database_url=migrated("product"),
        amqp_url="amqp://nobody",
        jwks_url="http://nobody",
        token_issuer="shop",
        token_audience="shop",
        role="api",
        vocabulary_age=0.001,
    )


@pytest.fixture
async def anybody(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    app = service.app(settings)
    registry(app).provide(RoleVerifier(), TokenVerifier)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://product") as client,
    ):
        yield client


@pytest.fixture
async def admin(anybody: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer admin"}
    async with httpx.AsyncClient(
        transport=anybody._transport, base_url=anybody.base_url, headers=headers
    ) as client:
        yield client


Create = Callable[..., Awaitable[None]]


@pytest.fixture
def create(admin: httpx.AsyncClient) -> Create:
    """`await create("A", price=295, stock=3)`: a product that is for sale."""

    async def create(sku: str, **given: object) -> None:
        product = {"sku": sku, "name": f"Product {sku}", "price": 100, **given}
        answer = await admin.post("/v1/products", json=product)
        assert answer.status_code == 201, answer.text

    return create
