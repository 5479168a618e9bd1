"""The load: guests who fill a cart and check out through the gateway, whatever the shop responds."""

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

import httpx

from devstack import Stack
from lab.chaos.checker import TOTAL_CHANGED
from lab.chaos.history import Checkout, Decision, History
from lab.chaos.order_actions import ERRORS, OrderActions, succeeds
from lab.chaos.staff import NOT_NOW, Provider, Staff
from lab.load import RetryPolicy, RetryTransport, for_each
from scenarios.bank import CARD, RETURN_URL
from scenarios.shopper import Shopper
from shop.http import admin_client, checked_json

PRODUCTS = 40
SCARCE = 4  # of which there is not enough
FREE = 4  # that cost nothing: an order of these alone needs no payment
STOCK = 1_000_000
SCARCE_STOCK = 150
TIMEOUT_SECONDS = 12
PAUSE = (0.2, 1.2)
RETRIES = RetryPolicy(attempts=6, first_pause=0.3, longest_pause=5)
LAST_RETRIES = RetryPolicy(attempts=30, first_pause=0.3, longest_pause=5)
ORDERED = "/problems/cart-already-ordered"
DECLINED_AFTER_CONFIRMING = "pm_card_threeDSecureRequiredChargeDeclined"
CHANGED = "/problems/total-changed"
REPRICED = 2  # whose prices rise and fall
RISE = 50
REPRICE_SECONDS = (1.0, 4.0)
PROVIDER_SECONDS = 5.0
FINISH_SECONDS = 12.0  # after the last fault, for the actions that are under way
EXPECTS = 0.1  # of the shoppers send the total that they were shown
EXPECTS_LESS = 0.2  # of these were shown less

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
    DECLINED_AFTER_CONFIRMING: 1,
}
NEEDS_CONFIRMATION = {CARD, DECLINED_AFTER_CONFIRMING}  # and what the shopper does then
DECISIONS: dict[Decision, int] = {"complete": 4, "fail": 2, "leave": 2}


class Shoppers:
    """`at_once` shoppers, until `stopping` is set; `history` is what they requested and got."""

    def __init__(self, stack: Stack, seed: int, at_once: int) -> None:
        self._stack, self._seed, self._at_once = stack, seed, at_once
        self.responses = RetryTransport(2 * at_once, RETRIES)
        self._http = httpx.AsyncClient(
            base_url=stack.gateway_url, timeout=TIMEOUT_SECONDS, transport=self.responses
        )
        self._outside = httpx.AsyncClient(timeout=PROVIDER_SECONDS)
        self.history = History()
        provider = Provider(self._outside, stack.sandbox_url, self.history)
        self.actions = OrderActions(self._http, Staff(stack, self._http), provider, self.history)
        self.stopping = asyncio.Event()
        self._acting: set[asyncio.Task[None]] = set()
        self.given_up = 0  # guests who never reached a checkout

    async def stock(self) -> None:
        """Products for the load, a few of them scarce, a few of them free."""
        stocks = dict.fromkeys(_SKUS, STOCK) | dict.fromkeys(_SKUS[:SCARCE], SCARCE_STOCK)
        items = [
            {"sku": sku, "name": f"Chaos {sku}", "price": _PRICES[sku], "stock": stock}
            for sku, stock in stocks.items()
        ]
        async with admin_client(self._stack) as admin:
            checked_json(await admin.post("/v1/products/bulk", json={"items": items}))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reprice(random.Random(f"{self._seed} prices")))
            for number in range(self._at_once):
                group.create_task(self._shop(random.Random(f"{self._seed} {number}")))

    async def resolve(self) -> None:
        """Repeat every request that was never answered, with the same key, once the actions that are under
        way have ended or had their time."""
        self.responses.policy = LAST_RETRIES
        unanswered = [one for one in self.history.checkouts if not one.is_answered]
        await for_each(unanswered, self._place, self._at_once)
        if self._acting:  # what is paid only now is returned, refunded or disputed as well
            await asyncio.wait(self._acting, timeout=FINISH_SECONDS)
            self.actions.over.set()
            await asyncio.gather(*self._acting)
        await self.actions.resolve()

    async def aclose(self) -> None:
        await self._outside.aclose()
        await self._http.aclose()

    async def _reprice(self, rng: random.Random) -> None:
        """Staff raise and lower the prices of a few products."""
        while not self.stopping.is_set():
            sku = rng.choice(_REPRICED)
            await succeeds(self.actions.staff.reprice(sku, _PRICES[sku] + rng.choice([0, RISE])))
            await asyncio.sleep(rng.uniform(*REPRICE_SECONDS))

    async def _shop(self, rng: random.Random) -> None:
        while not self.stopping.is_set():
            try:
                checkout = await self._arrive(rng)
            except ERRORS:
                self.given_up += 1
            else:
                self.history.checkouts.append(checkout)
                await self._check_out(checkout, rng)
                if checkout.order_ids:
                    acting = self.actions.run(checkout, random.Random(rng.random()))
                    self._acting.add(asyncio.create_task(acting))
            await asyncio.sleep(rng.uniform(*PAUSE))

    async def _arrive(self, rng: random.Random) -> Checkout:
        shopper = await Shopper.guest(self._http)
        skus = rng.sample(_SKUS, rng.randint(1, 3))
        lines = {sku: rng.randint(1, 3) for sku in skus}
        await shopper.fill_cart(lines)
        [method] = rng.choices(list(METHODS), list(METHODS.values()))
        more: dict[str, Any] = {"expires_in": rng.randint(2, 10)} if rng.random() < 0.05 else {}
        checkout = Checkout(f"chaos-{uuid4().hex}", shopper.token, shopper.email, method, more, lines)
        if method in NEEDS_CONFIRMATION:
            more["return_url"] = RETURN_URL
            [checkout.decision] = rng.choices(list(DECISIONS), list(DECISIONS.values()))
        if rng.random() < EXPECTS:
            _expect(checkout, rng)
        return checkout

    async def _check_out(self, checkout: Checkout, rng: random.Random) -> None:
        submits = [checkout] * (2 if rng.random() < 0.1 else 1)  # the button is pressed twice
        if rng.random() < 0.1:
            submits.append(checkout.in_another_tab(f"{checkout.key}-tab"))
            self.history.checkouts.append(submits[-1])
        await asyncio.gather(*(self._place(submit) for submit in submits))

    async def _place(self, checkout: Checkout) -> None:
        shopper = Shopper(self._http, checkout.token, checkout.email)
        try:
            response = await shopper.try_check_out(checkout.method, key=checkout.key, **checkout.more)
        except ERRORS:
            return  # not answered: `resolve` repeats it
        problem = response.json().get("type") if response.status_code == 409 else None
        if response.status_code == 202:
            checkout.order_ids.add(response.json()["order_id"])
            checkout.accepted_at = checkout.accepted_at or time.monotonic()
        elif problem == ORDERED:
            checkout.ordered_before = response.json()["order_id"]
        elif problem == CHANGED:
            checkout.refused = TOTAL_CHANGED
        elif response.status_code not in {*NOT_NOW, 409}:
            checkout.refused = f"{response.status_code} {response.text[:200]}"


def _expect(checkout: Checkout, rng: random.Random) -> None:
    """Most were shown the total, at the present prices or earlier ones; some were shown less."""
    total = sum(_PRICES[sku] * pieces for sku, pieces in checkout.lines.items())
    if checkout.lines.keys().isdisjoint(_REPRICED):
        checkout.shown_total = total
    shown = max(0, total - rng.randint(1, 50)) if rng.random() < EXPECTS_LESS else total
    checkout.more["expected_total"] = {"amount": shown, "currency": "GBP"}


_SKUS = [f"CHAOS-{number:03}" for number in range(PRODUCTS)]
_PRICES = {sku: 100 + 7 * number if number < PRODUCTS - FREE else 0 for number, sku in enumerate(_SKUS)}
_REPRICED = _SKUS[SCARCE : SCARCE + REPRICED]
