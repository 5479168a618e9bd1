"""The load: guests who fill a cart and check out through the gateway, whatever the shop answers."""

import asyncio
import random
import time
from collections import Counter
from uuid import uuid4

import httpx

from devstack import Stack
from lab.chaos.witness import Checkout
from lab.replay.patience import Patience, Patient
from scenarios.shopper import Shopper, Unexpected
from shop.door import as_admin, told

PRODUCTS = 40
SCARCE = 4  # of which there is not enough
FREE = 4  # that cost nothing: whoever takes nothing else is never asked for money
STOCK = 1_000_000
SCARCE_STOCK = 150
TIMEOUT_SECONDS = 12
PAUSE = (0.2, 1.2)
PATIENCE = Patience(tries=6, first=0.3, longest=5)
LAST_PATIENCE = Patience(tries=30, first=0.3, longest=5)
ORDERED = "/problems/cart-already-ordered"
NOT_YET = {409, 429, 500, 502, 503, 504}
TROUBLE = (httpx.HTTPError, Unexpected, TimeoutError, ValueError, KeyError)

# What shoppers pay with, and how many of a hundred do.
METHODS = {
    "pm_card_visa": 76,
    "pm_card_chargeDeclined": 6,
    "pm_card_chargeDeclinedInsufficientFunds": 3,
    "pm_card_sandbox_authorizeThenServerError": 3,
    "pm_card_sandbox_captureThenServerErrorStored": 3,
    "pm_card_sandbox_captureThenDisconnect_2": 3,
    "pm_card_sandbox_captureThenTimeout_1": 2,
    "pm_card_sandbox_captureDeclined": 2,
    "pm_card_sandbox_refundServerError": 2,
}


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
    """`at_once` of them until told to stop; `checkouts` is all that they were told."""

    def __init__(self, stack: Stack, seed: int, at_once: int) -> None:
        self._seed = seed
        self._at_once = at_once
        limits = httpx.Limits(max_connections=2 * at_once, max_keepalive_connections=2 * at_once)
        self.answers = Answers(httpx.AsyncHTTPTransport(limits=limits))
        self._stack = stack
        self._http = self._client(PATIENCE)
        self._closing = asyncio.Event()
        self.checkouts: list[Checkout] = []
        self.given_up = 0  # guests that never got as far as a checkout

    async def stock(self) -> None:
        """Products for the load, a few of them scarce, a few of them free."""
        items = [
            {
                "sku": sku,
                "name": f"Weathered {sku}",
                "price": 100 + 7 * number if number < PRODUCTS - FREE else 0,
                "stock": SCARCE_STOCK if number < SCARCE else STOCK,
            }
            for number, sku in enumerate(_SKUS)
        ]
        async with as_admin(self._stack) as admin:
            told(await admin.post("/v1/products/bulk", json={"items": items}))

    async def run(self) -> None:
        """Until `stop` is called."""
        async with asyncio.TaskGroup() as group:
            for lane in range(self._at_once):
                group.create_task(self._shop(random.Random(f"{self._seed} {lane}")))

    def stop(self) -> None:
        self._closing.set()

    async def resolve(self) -> None:
        """Ask again, with the same key, for every answer that never came."""
        self._http = self._client(LAST_PATIENCE)
        places = asyncio.Semaphore(self._at_once)

        async def again(checkout: Checkout) -> None:
            async with places:
                await self._place(checkout)

        await asyncio.gather(*(again(one) for one in self.checkouts if not one.is_answered))

    async def aclose(self) -> None:
        await self.answers.aclose()

    async def _shop(self, dice: random.Random) -> None:
        while not self._closing.is_set():
            try:
                checkout = await self._arrive(dice)
            except TROUBLE:
                self.given_up += 1
            else:
                self.checkouts.append(checkout)
                await self._check_out(checkout, dice)
            await asyncio.sleep(dice.uniform(*PAUSE))

    async def _arrive(self, dice: random.Random) -> Checkout:
        shopper = await Shopper.guest(self._http)
        skus = dice.sample(_SKUS, dice.randint(1, 3))
        await shopper.fill_cart({sku: dice.randint(1, 3) for sku in skus})
        [method] = dice.choices(list(METHODS), list(METHODS.values()))
        hurry = {"expires_in": dice.randint(2, 10)} if dice.random() < 0.05 else {}
        return Checkout(f"chaos-{uuid4().hex}", shopper.token, shopper.email, method, hurry)

    async def _check_out(self, checkout: Checkout, dice: random.Random) -> None:
        submits = [checkout] * (2 if dice.random() < 0.1 else 1)  # a button that is pressed twice
        if dice.random() < 0.1:
            submits.append(checkout.tab(f"{checkout.key}-tab"))
            self.checkouts.append(submits[-1])
        await asyncio.gather(*(self._place(submit) for submit in submits))
        if checkout.order_ids and dice.random() < 0.1:
            await asyncio.sleep(dice.uniform(0, 2))
            await self._cancel(checkout)

    async def _place(self, checkout: Checkout) -> None:
        shopper = Shopper(self._http, checkout.token, checkout.email)
        try:
            answer = await shopper.try_check_out(checkout.method, key=checkout.key, **checkout.more)
        except TROUBLE:
            return  # not answered: to be resolved
        if answer.status_code == 202:
            checkout.accept(str(answer.json()["order_id"]), time.monotonic())
        elif answer.status_code == 409 and answer.json()["type"] == ORDERED:
            checkout.ordered_before = answer.json()["order_id"]
        elif answer.status_code not in NOT_YET:
            checkout.refused = f"{answer.status_code} {answer.text[:200]}"

    async def _cancel(self, checkout: Checkout) -> None:
        shopper = Shopper(self._http, checkout.token, checkout.email)
        for order_id in checkout.order_ids:
            try:
                order = await shopper.cancel(order_id)
            except TROUBLE:
                return  # whether it was heard or not, the order ends
            checkout.cancelled_by_shopper = order["status"] == "cancelled"

    def _client(self, patience: Patience) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._stack.gateway_url,
            timeout=TIMEOUT_SECONDS,
            transport=Patient(self.answers, patience),
        )


_SKUS = [f"STORM-{number:03}" for number in range(PRODUCTS)]
