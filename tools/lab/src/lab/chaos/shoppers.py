"""The load: guests who fill a cart and check out through the gateway, whatever the shop answers."""

import asyncio
import random
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx

from devstack import Stack
from lab.chaos.afterwards import TROUBLE, Afterwards
from lab.chaos.memory import Checkout, Decision, Memory
from lab.chaos.staff import NOT_YET
from lab.chaos.witness import TOTAL_CHANGED
from lab.http_retry import RetryPolicy, RetryTransport
from scenarios.bank import CARD, RETURN_URL
from scenarios.shopper import Shopper
from shop.gateway import admin_client, checked_json

PRODUCTS = 40
SCARCE = 4  # of which there is not enough
FREE = 4  # that cost nothing: whoever takes nothing else is never asked for money
STOCK = 1_000_000
SCARCE_STOCK = 150
TIMEOUT_SECONDS = 12
PAUSE = (0.2, 1.2)
RETRIES = RetryPolicy(attempts=6, first_pause=0.3, longest_pause=5)
LAST_RETRIES = RetryPolicy(attempts=30, first_pause=0.3, longest_pause=5)
ORDERED = "/problems/cart-already-ordered"
CONFIRMED_IN_VAIN = "pm_card_threeDSecureRequiredChargeDeclined"
CHANGED = "/problems/total-changed"
REPRICED = 2  # whose prices rise and fall
RISE = 50
REPRICE_SECONDS = (1.0, 4.0)
OUTSIDE_SECONDS = 5.0
CALM_SECONDS = 12.0  # after the storm, for what goes on
EXPECTS = 0.1  # of the shoppers say what they have seen of the total
EXPECTS_LESS = 0.2  # of these have seen less

# What shoppers pay with, and how many of a hundred do.
METHODS = {
    "pm_card_visa": 68,
    "pm_card_chargeDeclined": 6,
    "pm_card_chargeDeclinedInsufficientFunds": 3,
    "pm_card_sandbox_authorizeThenServerError": 3,
    "pm_card_sandbox_captureThenServerErrorStored": 3,
    "pm_card_sandbox_captureThenDisconnect_2": 3,
    "pm_card_sandbox_captureThenTimeout_1": 2,
    "pm_card_sandbox_captureDeclined": 2,
    "pm_card_sandbox_refundServerError": 2,
    CARD: 7,
    CONFIRMED_IN_VAIN: 1,
}
ASKING = {CARD, CONFIRMED_IN_VAIN}  # the shopper to confirm, and what she then does
DECISIONS: dict[Decision, int] = {"complete": 4, "fail": 2, "leave": 2}


class Answers(httpx.AsyncBaseTransport):
    """Counts what the shop answers, before anybody tries again."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.counted: Counter[str] = Counter()
        self.crashes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            self.counted[type(error).__name__] += 1
            raise
        self.counted[str(response.status_code)] += 1
        if response.status_code == 500:
            self.crashes.append(
                f"{request.method} {request.url.path} at {time.strftime('%H:%M:%S')}: "
                f"{response.headers.get('x-kong-request-id', '')}"
            )
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class Shoppers:
    """`at_once` of them until checked_json to stop; `memory` is all that they were checked_json."""

    def __init__(self, stack: Stack, seed: int, at_once: int) -> None:
        self._seed = seed
        self._at_once = at_once
        limits = httpx.Limits(max_connections=2 * at_once, max_keepalive_connections=2 * at_once)
        self.answers = Answers(httpx.AsyncHTTPTransport(limits=limits))
        self._stack = stack
        self._http = self._client(RETRIES)
        self._outside = httpx.AsyncClient(timeout=OUTSIDE_SECONDS)
        self._closing, self._over = asyncio.Event(), asyncio.Event()
        self._going_on: set[asyncio.Task[None]] = set()
        self.memory = Memory()
        self._afterwards = self._after()
        self.given_up = 0  # guests that never got as far as a checkout

    async def stock(self) -> None:
        """Products for the load, a few of them scarce, a few of them free."""
        items = [
            {
                "sku": sku,
                "name": f"Weathered {sku}",
                "price": _PRICES[sku],
                "stock": SCARCE_STOCK if number < SCARCE else STOCK,
            }
            for number, sku in enumerate(_SKUS)
        ]
        async with admin_client(self._stack) as admin:
            checked_json(await admin.post("/v1/products/bulk", json={"items": items}))

    async def run(self) -> None:
        """Until `stop` is called."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reprice(random.Random(f"{self._seed} prices")))
            for lane in range(self._at_once):
                group.create_task(self._shop(random.Random(f"{self._seed} {lane}")))

    def stop(self) -> None:
        self._closing.set()

    async def resolve(self) -> None:
        """Ask again, with the same key, for every answer that never came, once what goes on has come to its
        end or has had its time."""
        self._http = self._client(LAST_RETRIES)
        self._afterwards = self._after()
        places = asyncio.Semaphore(self._at_once)

        async def again(checkout: Checkout) -> None:
            async with places:
                await self._place(checkout)

        await asyncio.gather(*(again(one) for one in self.memory.checkouts if not one.is_answered))
        await self._let_go_on()
        await self._afterwards.resolve()

    async def _let_go_on(self) -> None:
        """What was paid only after the storm is sent back, refunded or disputed as well."""
        if self._going_on:
            await asyncio.wait(self._going_on, timeout=CALM_SECONDS)
            self._over.set()
            await asyncio.gather(*self._going_on)

    async def look(self) -> None:
        """What the accounts see when all is over."""
        await self._afterwards.look()

    async def aclose(self) -> None:
        await self._outside.aclose()
        await self.answers.aclose()

    async def _reprice(self, dice: random.Random) -> None:
        """Staff raise and lower the prices of a few products."""
        while not self._closing.is_set():
            sku = dice.choice(_REPRICED)
            await self._afterwards.reprice(sku, _PRICES[sku] + dice.choice([0, RISE]))
            await asyncio.sleep(dice.uniform(*REPRICE_SECONDS))

    async def _shop(self, dice: random.Random) -> None:
        while not self._closing.is_set():
            try:
                checkout = await self._arrive(dice)
            except TROUBLE:
                self.given_up += 1
            else:
                self.memory.checkouts.append(checkout)
                await self._check_out(checkout, dice)
                if checkout.order_ids:
                    going_on = self._afterwards.go_on(checkout, random.Random(dice.random()))
                    self._going_on.add(asyncio.create_task(going_on))
            await asyncio.sleep(dice.uniform(*PAUSE))

    async def _arrive(self, dice: random.Random) -> Checkout:
        shopper = await Shopper.guest(self._http)
        skus = dice.sample(_SKUS, dice.randint(1, 3))
        lines = {sku: dice.randint(1, 3) for sku in skus}
        await shopper.fill_cart(lines)
        [method] = dice.choices(list(METHODS), list(METHODS.values()))
        more: dict[str, Any] = {"expires_in": dice.randint(2, 10)} if dice.random() < 0.05 else {}
        checkout = Checkout(f"chaos-{uuid4().hex}", shopper.token, shopper.email, method, more, lines)
        if method in ASKING:
            more["return_url"] = RETURN_URL
            [checkout.decision] = dice.choices(list(DECISIONS), list(DECISIONS.values()))
        if dice.random() < EXPECTS:
            _expect(checkout, dice)
        return checkout

    async def _check_out(self, checkout: Checkout, dice: random.Random) -> None:
        submits = [checkout] * (2 if dice.random() < 0.1 else 1)  # a button that is pressed twice
        if dice.random() < 0.1:
            submits.append(checkout.tab(f"{checkout.key}-tab"))
            self.memory.checkouts.append(submits[-1])
        await asyncio.gather(*(self._place(submit) for submit in submits))

    async def _place(self, checkout: Checkout) -> None:
        shopper = Shopper(self._http, checkout.token, checkout.email)
        try:
            answer = await shopper.try_check_out(checkout.method, key=checkout.key, **checkout.more)
        except TROUBLE:
            return  # not answered: to be resolved
        problem = answer.json().get("type") if answer.status_code == 409 else None
        if answer.status_code == 202:
            checkout.accept(str(answer.json()["order_id"]), time.monotonic())
        elif problem == ORDERED:
            checkout.ordered_before = answer.json()["order_id"]
        elif problem == CHANGED:
            checkout.refused = TOTAL_CHANGED
        elif answer.status_code not in {*NOT_YET, 409}:
            checkout.refused = f"{answer.status_code} {answer.text[:200]}"

    def _after(self) -> Afterwards:
        return Afterwards(self._stack, self.memory, self._http, self._outside, self._over)

    def _client(self, policy: RetryPolicy) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._stack.gateway_url,
            timeout=TIMEOUT_SECONDS,
            transport=RetryTransport(self.answers, policy),
        )


def _expect(checkout: Checkout, dice: random.Random) -> None:
    """Most have seen what it comes to, or came to; some have seen less."""
    total = sum(_PRICES[sku] * pieces for sku, pieces in checkout.lines.items())
    if checkout.lines.keys().isdisjoint(_REPRICED):
        checkout.seen_total = total
    seen = max(0, total - dice.randint(1, 50)) if dice.random() < EXPECTS_LESS else total
    checkout.more["expected_total"] = {"amount": seen, "currency": "GBP"}


_SKUS = [f"STORM-{number:03}" for number in range(PRODUCTS)]
_PRICES = {sku: 100 + 7 * number if number < PRODUCTS - FREE else 0 for number, sku in enumerate(_SKUS)}
_REPRICED = _SKUS[SCARCE : SCARCE + REPRICED]
