"""The running service with a real database, and stand-ins for the other services."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.http.idempotency import IdempotencyKeys
from chassis.http.provided import Registry, registry
from chassis.messaging.encryption import Cipher
from chassis.runtime.service import Chassis
from chassis.storage import outbox
from chassis.storage.database import Transactions, connect
from chassis.testing import TokenMint
from contracts import Event, Line, OrderPaid
from contracts.testing import order_paid
from order.main import service
from order.saga import participant
from order.settings import Settings

CONTACT_KEY = Fernet.generate_key().decode()
ACTION_KEY = Fernet.generate_key().decode()
RETURN_ORIGINS = "https://shop.example,http://localhost:3000"
MINT = TokenMint("saga-shop", "saga-shop")
SETTINGS: dict[str, Any] = {
    "database_url": "postgresql+asyncpg://nobody",
    "amqp_url": "amqp://nobody@127.0.0.1:1/",
    "jwks_url": "http://nobody",
    "token_issuer": "saga-shop",
    "token_audience": "saga-shop",
    "product_url": "http://nobody",
    "cart_url": "http://nobody",
    "contact_key": CONTACT_KEY,
    "action_key": ACTION_KEY,
    "return_origins": RETURN_ORIGINS,
}
"""Settings of a service that reaches nothing."""


SCOPES = {
    "admin": ("orders:read-all", "orders:fulfil", "orders:refund"),
    "reader": ("orders:read-all",),
    "warehouse": ("orders:fulfil",),
}


def bearer(
    shopper: UUID, role: str = "shopper", email: str | None = "ada@example.com", lifetime: int = 600
) -> dict[str, str]:
    """The authorization of an account with this role."""
    token = MINT.token(shopper, *SCOPES.get(role, ()), role=role, email=email, lifetime=lifetime)
    return {"Authorization": f"Bearer {token}"}


@dataclass
class OtherServices:
    """The responses of cart and product, and the requests that they got."""

    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    carts: dict[UUID, dict[str, int]] = field(default_factory=dict)
    ids: dict[UUID, list[UUID]] = field(default_factory=dict)  # of carts; the previous release sends none
    bought: dict[UUID, list[UUID]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    poison: str | None = None
    url: str = ""

    def sell(self, sku: str, price: int, **more: Any) -> None:
        one = {"sku": sku, "name": f"Product {sku}", "price": price, "currency": "GBP", "status": "active"}
        self.products[sku] = {**one, "available": 5, "category": None, **more}

    async def jwks(self, _: Request) -> Response:
        return JSONResponse(MINT.jwks)

    async def cart(self, request: Request) -> Response:
        await self._ask("cart")
        if "cart" in self.down:
            return Response(status_code=503)
        payload = request.headers["authorization"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        owner = UUID(claims["sub"])
        lines = self.carts.get(owner, {}).items()
        document: dict[str, Any] = {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]}
        if owner in self.ids:
            document["ids"] = [str(one) for one in self.ids[owner]]
            document["bought"] = [str(one) for one in self.bought.get(owner, ())]
        return JSONResponse(document)

    async def product(self, request: Request) -> Response:
        await self._ask("product")
        if "product" in self.down:
            return Response(status_code=503)
        if self.poison in request.query_params.getlist("sku"):
            return Response(status_code=400)
        found = [self.products[sku] for sku in request.query_params.getlist("sku") if sku in self.products]
        return JSONResponse({"items": found, "next": None, "corrected": {}})

    async def _ask(self, name: str) -> None:
        self.asked.append(name)
        await asyncio.wait_for(self.held.wait(), 30)


@dataclass
class Running:
    """A running service: `http` calls it, `database` is a connection beside it."""

    http: httpx.AsyncClient
    database: Any
    engine: AsyncEngine
    registry: Registry

    @property
    def transactions(self) -> Transactions:
        """The service's own."""
        return self.registry[Transactions]

    @property
    def keys(self) -> IdempotencyKeys:
        return self.registry[IdempotencyKeys]

    @property
    def stopping(self) -> asyncio.Event:
        return self.registry[Chassis].stopping

    async def place(self, shopper: UUID, key: str | None = None, **more: Any) -> httpx.Response:
        """Check out as an account; `sent` are further headers."""
        headers = bearer(shopper, **more.pop("caller", {})) | {"Idempotency-Key": key or uuid4().hex}
        headers |= more.pop("sent", {})
        return await self.http.post(
            "/v1/orders", json={"payment_method": "pm_card_visa", **more}, headers=headers
        )

    async def placed(self, shopper: UUID, **body: Any) -> UUID:
        """Check out; returns the order's id."""
        answer = await self.place(shopper, **body)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["order_id"])

    async def get(self, path: str, shopper: UUID, **caller: Any) -> httpx.Response:
        return await self.http.get(path, headers=bearer(shopper, **caller))

    async def cancel(self, order: UUID, shopper: UUID, **caller: Any) -> httpx.Response:
        return await self.http.post(f"/v1/orders/{order}/cancel", headers=bearer(shopper, **caller))

    async def consume(self, *events: Event, here: bool = False) -> None:
        """As the worker does, in another process, or with `here` in the one that serves HTTP."""
        transactions = self.transactions if here else Transactions(self.engine, "order", lease=0)
        for event in events:
            for steps in participant.steps:
                if step := steps.find(event.type, event.version):
                    async with transactions() as tx:
                        tx.handling(outbox.envelope(event, event.publisher, tx.now, "cause/1", None))
                        await step.run(event, tx)

    async def published(self) -> list[tuple[str, Any]]:
        """The events in the outbox, the oldest first."""
        rows = await self.database.fetch("SELECT type, data FROM outbox ORDER BY position")
        return [(row["type"], json.loads(row["data"])) for row in rows]

    async def count(self, table: str) -> int:
        return int(await self.database.fetchval(f"SELECT count(*) FROM {table}"))


Start = Callable[..., Awaitable[Running]]


@pytest.fixture(name="bearer")
def _bearer() -> Callable[..., dict[str, str]]:
    """`bearer(shopper, role="guest", email=None)`: an authorization header."""
    return bearer


@pytest.fixture
def cipher() -> Cipher:
    """Decrypts what the service has encrypted."""
    return Cipher([CONTACT_KEY])


@pytest.fixture
async def services() -> AsyncIterator[OtherServices]:
    world = OtherServices()
    world.held.set()
    routes = [
        Route("/.well-known/jwks.json", world.jwks),
        Route("/v1/cart/lines", world.cart),
        Route("/v1/products", world.product),
    ]
    async with serving(Starlette(routes=routes)) as url:
        world.url = url
        yield world


@pytest.fixture
def shopper(services: OtherServices) -> UUID:
    """A shopper with two lanterns and a mug in the cart: 699 pence."""
    services.sell("LANTERN", 250)
    services.sell("MUG", 199)
    someone = uuid4()
    services.carts[someone] = {"LANTERN": 2, "MUG": 1}
    return someone


@pytest.fixture
async def start(migrated: Callable[[str], str], services: OtherServices) -> AsyncIterator[Start]:
    """`await start(max_open_orders=2)`: the service with these settings; again for another replica."""
    url = migrated("order")
    async with AsyncExitStack() as running:

        async def begin(**changed: Any) -> Running:
            return await running.enter_async_context(_running(url, services.url, changed))

        yield begin


@pytest.fixture
async def order(start: Start) -> Running:
    return await start()


@pytest.fixture
def paid(shopper: UUID) -> Callable[[UUID], OrderPaid]:
    """Builds the event of the captured payment of the shopper's order."""
    lines = (
        Line(sku="LANTERN", name="Product LANTERN", quantity=2, unit_price=250),
        Line(sku="MUG", name="Product MUG", quantity=1, unit_price=199),
    )

    def build(order_id: UUID) -> OrderPaid:
        return order_paid(order_id=order_id, shopper_id=shopper, lines=lines)

    return build


@asynccontextmanager
async def _running(database_url: str, services: str, changed: dict[str, Any]) -> AsyncIterator[Running]:
    given = SETTINGS | {
        "database_url": database_url,
        "jwks_url": f"{services}/.well-known/jwks.json",
        "role": "api",
        "product_url": services,
        "cart_url": services,
    }
    engine = connect(database_url, pool_size=2, statement_timeout=10)
    database = await asyncpg.connect(database_url.replace("+asyncpg", ""), timeout=10)
    app = service.app(Settings(**(given | changed)))
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Running(http, database, engine, registry(app))
    await database.close()
    await engine.dispose()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """The application on a free port; ends it as `serve` does."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    running = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(10):
        while not server.started:
            assert not running.done(), "the server did not start"
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if hasattr(app.state, "registry"):
            registry(app)[Chassis].stopping.set()
        server.should_exit = True
        await running
