"""Plays a scenario: prepares a product and a shopper, runs the script, and reads the outcome from outside."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from scenarios.broker import OperatorsBroker
from scenarios.mails import mails
from scenarios.shopper import Shopper, bearer, must, poll

PRICE = 500
STOCK = 5
SETTLE_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Shop:
    """A shop's addresses, and functions to stop and start its services."""

    gateway_url: str
    sandbox_url: str
    mailbox_url: str
    amqp_url: str
    admin_email: str
    admin_password: str
    stop: Callable[[str], Awaitable[None]]
    start: Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Outcome:
    """How an order ended, as its shopper and the outside world see it. Money in the provider's units."""

    status: str | None
    reason: str | None = None
    captured: int = 0
    refunded: int = 0
    mails: tuple[str, ...] = ()
    taken: int = 0
    cart_left: int = 0


@dataclass(frozen=True)
class Scenario:
    """`price` is that of a piece, in minor units of `currency`."""

    name: str
    summary: str
    expected: Outcome
    script: "Script"
    price: int = PRICE
    currency: str = "GBP"


Script = Callable[["Play"], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}
EXERCISES: dict[str, Scenario] = {}  # they leave something for an operator to repair; only played by name


def scenario(
    expected: Outcome, *, price: int = PRICE, currency: str = "GBP", among: dict[str, Scenario] = SCENARIOS
) -> Callable[[Script], Scenario]:
    """Register a script; its docstring is the summary, its name the scenario's."""

    def register(script: Script) -> Scenario:
        name = script.__name__.replace("_", "-")
        among[name] = Scenario(name, (script.__doc__ or "").strip(), expected, script, price, currency)
        return among[name]

    return register


@dataclass
class Play:
    """One scenario in progress: its own product, a shopper, and the order that the script places."""

    shop: Shop
    http: httpx.AsyncClient
    broker: OperatorsBroker
    shopper: Shopper
    sku: str
    order_id: str = ""  # empty until it is placed, and so is its number
    number: str = ""
    claims: list[tuple[str, bool]] = field(default_factory=list)

    async def fill_cart(self, quantity: int = 2) -> None:
        await self.shopper.fill_cart({self.sku: quantity})

    async def reprice(self, price: int) -> None:
        """Change the product's price."""
        admin = await logged_in(self.http, self.shop)
        must(await self.http.patch(f"/v1/products/{self.sku}", json={"price": price}, headers=admin), 200)

    async def check_out(self, payment_method: str | None = "pm_card_visa", **more: Any) -> str:
        """Place the order whose outcome is compared."""
        placed = must(await self.shopper.try_check_out(payment_method, **more), 202)
        self.order_id, self.number = str(placed["order_id"]), placed["number"]
        return self.order_id

    async def place_order(
        self, payment_method: str | None = "pm_card_visa", *, pieces: int = 2, **more: Any
    ) -> str:
        """Fill the cart and check out. Returns the order's id."""
        await self.fill_cart(pieces)
        return await self.check_out(payment_method, **more)

    async def buy(self, payment_method: str | None = "pm_card_visa") -> str:
        """Order two pieces and wait until they are paid. Returns the order's id."""
        order_id = await self.place_order(payment_method)
        await self.until("paid")
        return order_id

    @asynccontextmanager
    async def stopped(self, service: str) -> AsyncIterator[None]:
        """A service is down meanwhile."""
        await self.shop.stop(service)
        try:
            yield
        finally:
            await self.shop.start(service)

    async def until(self, status: str) -> None:
        await self.shopper.until(self.order_id, status)

    async def until_published(self, event_type: str) -> None:
        """Wait until the order's timeline has the event."""
        await self.shopper.until_in_timeline(self.order_id, event_type, SETTLE_SECONDS)

    async def until_mailed(self, reason: str) -> None:
        """Wait until the shopper has that mail about the order."""
        await poll(self._mails, lambda mailed: reason in mailed, SETTLE_SECONDS)

    async def until_payments_cancelled(self) -> None:
        """Wait until all of the order's payments are cancelled at the provider."""
        await poll(
            self.payments,
            lambda found: all(payment["status"] == "canceled" for payment in found),
            SETTLE_SECONDS,
        )

    def claim(self, what: str, holds: bool) -> None:
        """Check a condition besides the outcome."""
        self.claims.append((what, holds))

    async def outcome(self) -> Outcome:
        """The outcome so far, read from the gateway, the provider's ledger and the mailbox."""
        order = await self.shopper.order(self.order_id) if self.order_id else {}
        product = must(await self.http.get(f"/v1/products/{self.sku}"), 200)
        payments = await self.payments() if self.order_id else []
        return Outcome(
            status=order.get("status"),
            reason=order.get("reason"),
            captured=sum(one["captured"] for one in payments),
            refunded=sum(one["refunded"] for one in payments),
            mails=await self._mails() if self.order_id else (),
            taken=STOCK - product["available"],
            cart_left=sum((await self.shopper.cart()).values()),
        )

    async def payments(self) -> list[dict[str, Any]]:
        """The provider's payments for the order."""
        url = f"{self.shop.sandbox_url}/_sandbox/ledger"
        found = must(await self.http.get(url, params={"order_id": self.order_id}), 200)
        return list(found["payments"])

    async def _mails(self) -> tuple[str, ...]:
        found = await mails(self.http, self.shop.mailbox_url, self.order_id)
        return tuple(sorted(mail.reason for mail in found if mail.reason))


@dataclass(frozen=True)
class Report:
    """The result of a scenario."""

    scenario: Scenario
    order_id: str | None
    number: str | None
    outcome: Outcome | None
    claims: tuple[tuple[str, bool], ...]
    seconds: float
    error: str | None = None

    @property
    def as_expected(self) -> bool:
        return (
            self.error is None
            and self.outcome == self.scenario.expected
            and all(holds for _, holds in self.claims)
        )


async def run(scenario: Scenario, shop: Shop) -> Report:
    """Play one scenario and compare its outcome. Errors are part of the report, not raised."""
    started = time.monotonic()
    play: Play | None = None
    outcome, error = None, None
    try:
        async with new_play(shop, scenario.price, scenario.currency) as play:
            await scenario.script(play)
            outcome = await _settled(play, scenario.expected)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    placed = (play.order_id or None, play.number or None) if play else (None, None)
    claims, seconds = tuple(play.claims) if play else (), round(time.monotonic() - started, 2)
    return Report(scenario, *placed, outcome, claims, seconds, error)


@asynccontextmanager
async def new_play(shop: Shop, price: int = PRICE, currency: str = "GBP") -> AsyncIterator[Play]:
    """A new product with five pieces at that price, and a guest with an empty cart."""
    async with httpx.AsyncClient(base_url=shop.gateway_url, timeout=30) as http:
        sku, pricing = f"SCENE-{uuid4().hex[:10].upper()}", {"price": price, "currency": currency}
        product = {"sku": sku, "name": "Scenario product", "stock": STOCK, **pricing}
        must(await http.post("/v1/products", json=product, headers=await logged_in(http, shop)), 201)
        async with OperatorsBroker.connected(shop.amqp_url) as broker:
            yield Play(shop, http, broker, await Shopper.guest(http), sku)


async def logged_in(http: httpx.AsyncClient, shop: Shop) -> dict[str, str]:
    """The headers of the shop's administrator."""
    form = {"username": shop.admin_email, "password": shop.admin_password}
    return bearer(must(await http.post("/v1/token", data=form), 200)["access_token"])


async def _settled(play: Play, expected: Outcome) -> Outcome:
    """Wait until the outcome is as expected and the queues are empty. Returns the outcome, also after a
    timeout."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        outcome = await play.outcome()
        if outcome == expected and await play.broker.is_quiet():
            return await play.outcome()
        if time.monotonic() > deadline:
            return outcome
        await asyncio.sleep(POLL_SECONDS)
