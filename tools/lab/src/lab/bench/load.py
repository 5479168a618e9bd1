"""The load: shoppers with filled carts, each checking out once, and a poller that sees who has paid."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp

from devstack import Stack
from lab.load import for_each
from scenarios.shopper import bearer
from shop.errors import ShopError

PRODUCTS = 200
LINES = 3
STOCK = 1_000_000
PREPARING = 16
POLL_SECONDS = 0.05
PAID_TIMEOUT = 60
_TIMEOUT = aiohttp.ClientTimeout(total=60)
Advance = Callable[[], None]


class Load:
    """`prepare` first, then `run`: tokens and carts are there before the clock starts."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._http = http
        self._tokens: list[str] = []
        self._admin: dict[str, str] = {}
        self._unpaid: dict[str, asyncio.Future[None]] = {}

    async def prepare(self, checkouts: int, advance: Advance) -> None:
        """A guest with three products in the cart for every checkout."""
        skus = await self._stock_catalogue()

        async def one(number: int) -> None:
            guest = await self._request("POST", "auth", "/v1/guests")
            token = str(guest["access_token"])
            chosen = [skus[(number * LINES + i) % PRODUCTS] for i in range(LINES)]
            cart = {"items": [{"sku": sku, "quantity": 1} for sku in chosen]}
            await self._request("PUT", "cart", "/v1/cart", json=cart, headers=bearer(token))
            self._tokens.append(token)
            advance()

        await for_each(range(checkouts), one, PREPARING)

    async def run(self, checkouts: int, in_flight: int, advance: Advance) -> list[float]:
        """That many of the prepared checkouts, `in_flight` at once. Returns the seconds that each took
        from being sent until it was seen to be paid. Raises ShopError unless all are paid."""
        shoppers, self._tokens = self._tokens[:checkouts], self._tokens[checkouts:]
        waiting = iter(shoppers)
        latencies: list[float] = []

        async def worker() -> None:
            for token in waiting:
                latencies.append(await self._check_out(token))
                advance()

        try:
            async with asyncio.TaskGroup() as group:
                poller = group.create_task(self._poll_paid())
                await asyncio.wait([group.create_task(worker()) for _ in range(in_flight)])
                poller.cancel()
        except* (ShopError, TimeoutError, aiohttp.ClientError) as errors:
            raise ShopError(f"a checkout failed: {errors.exceptions[0]!r}") from errors
        return latencies

    async def _check_out(self, token: str) -> float:
        started = time.perf_counter()
        order = await self._request(
            *("POST", "order", "/v1/orders"),
            json={"payment_method": "pm_card_visa", "email": f"bench-{uuid4().hex}@example.com"},
            headers={**bearer(token), "Idempotency-Key": uuid4().hex},
        )
        paid = self._unpaid[order["order_id"]] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(PAID_TIMEOUT):
            await paid
        return time.perf_counter() - started

    async def _poll_paid(self) -> None:
        """Ask order, as an administrator, which of those in flight are paid."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._unpaid:
                params = {"status": "paid", "limit": "100", "id": list(self._unpaid)[:100]}
                page = await self._request("GET", "order", "/v1/orders", params=params, headers=self._admin)
                for order in page["items"]:
                    self._unpaid.pop(order["order_id"]).set_result(None)

    async def _stock_catalogue(self) -> list[str]:
        form = {"username": self._stack.admin_email, "password": self._stack.admin_password}
        token = await self._request("POST", "auth", "/v1/token", data=form)
        self._admin = bearer(token["access_token"])
        skus = [f"BENCH-{number:03}" for number in range(PRODUCTS)]
        items = [{"sku": sku, "name": f"Bench {sku}", "price": 250, "stock": STOCK} for sku in skus]
        await self._request(
            "POST", "product", "/v1/products/bulk", json={"items": items}, headers=self._admin
        )
        return skus

    async def _request(self, method: str, service: str, path: str, **arguments: Any) -> dict[str, Any]:
        url = self._stack.http(service) + path
        async with self._http.request(method, url, timeout=_TIMEOUT, **arguments) as answer:
            if answer.status >= 300:
                raise ShopError(f"{method} {url}: {answer.status} {(await answer.text())[:200]}")
            found: dict[str, Any] = await answer.json() if answer.content_length else {}
            return found
