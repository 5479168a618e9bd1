"""The load: shoppers with filled carts, each checking out once; one onlooker sees which orders are paid."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import uuid4

import aiohttp

from devstack import Stack
from shop.errors import ShopError

PRODUCTS = 200
LINES = 3
STOCK = 1_000_000
PREPARING = 16
LOOK_SECONDS = 0.05
GIVE_UP_SECONDS = 60
_TIMEOUT = aiohttp.ClientTimeout(total=60)
Advance = Callable[[], None]


@dataclass(frozen=True)
class Done:
    """One checkout: seconds from sending it to seeing that it is paid."""

    seconds: float


class Load:
    """`prepare` first, then `run`: tokens and carts are there before the clock starts."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._http = http
        self._tokens: list[str] = []
        self._admin = ""
        self._unpaid: dict[str, asyncio.Future[None]] = {}

    async def prepare(self, checkouts: int, advance: Advance) -> None:
        """A guest with three products in the cart for every checkout."""
        skus = await self._stock_catalogue()
        places = asyncio.Semaphore(PREPARING)

        async def one(number: int) -> None:
            async with places:
                chosen = [skus[(number * LINES + i) % PRODUCTS] for i in range(LINES)]
                self._tokens.append(await self._guest(chosen))
                advance()

        await asyncio.gather(*(one(number) for number in range(checkouts)))

    async def run(self, checkouts: int, in_flight: int, advance: Advance) -> list[Done]:
        """That many of the prepared checkouts, `in_flight` at once. Raises ShopError unless all are paid."""
        shoppers, self._tokens = self._tokens[:checkouts], self._tokens[checkouts:]
        waiting = iter(shoppers)
        done: list[Done] = []

        async def lane() -> None:
            for token in waiting:
                done.append(await self._check_out(token))
                advance()

        try:
            async with asyncio.TaskGroup() as group:
                onlooker = group.create_task(self._look_on())
                await asyncio.wait([group.create_task(lane()) for _ in range(in_flight)])
                onlooker.cancel()
        except* (ShopError, TimeoutError, aiohttp.ClientError) as errors:
            raise ShopError(f"a checkout failed: {errors.exceptions[0]!r}") from errors
        return done

    async def _check_out(self, token: str) -> Done:
        headers = {"Authorization": f"Bearer {token}"}
        started = time.perf_counter()
        order = await self._call(
            "POST",
            f"{self._stack.http('order')}/v1/orders",
            json={"payment_method": "pm_card_visa", "email": f"bench-{uuid4().hex}@example.com"},
            headers={**headers, "Idempotency-Key": uuid4().hex},
        )
        paid = self._unpaid[order["order_id"]] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await paid
        return Done(time.perf_counter() - started)

    async def _look_on(self) -> None:
        """Ask order, as an administrator, which of those in flight are paid."""
        headers = {"Authorization": f"Bearer {self._admin}"}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._unpaid:
                continue
            asked = {"status": "paid", "limit": "100", "id": list(self._unpaid)[:100]}
            page = await self._call(
                "GET", f"{self._stack.http('order')}/v1/orders", params=asked, headers=headers
            )
            for order in page["items"]:
                self._unpaid.pop(order["order_id"]).set_result(None)

    async def _guest(self, skus: list[str]) -> str:
        guest = await self._call("POST", f"{self._stack.http('auth')}/v1/guests")
        token = str(guest["access_token"])
        await self._call(
            "PUT",
            f"{self._stack.http('cart')}/v1/cart",
            json={"items": [{"sku": sku, "quantity": 1} for sku in skus]},
            headers={"Authorization": f"Bearer {token}"},
        )
        return token

    async def _stock_catalogue(self) -> list[str]:
        form = {"username": self._stack.admin_email, "password": self._stack.admin_password}
        token = await self._call("POST", f"{self._stack.http('auth')}/v1/token", data=form)
        self._admin = token["access_token"]
        skus = [f"BENCH-{number:03}" for number in range(PRODUCTS)]
        items = [{"sku": sku, "name": f"Bench {sku}", "price": 250, "stock": STOCK} for sku in skus]
        await self._call(
            "POST",
            f"{self._stack.http('product')}/v1/products/bulk",
            json={"items": items},
            headers={"Authorization": f"Bearer {self._admin}"},
        )
        return skus

    async def _call(self, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        async with self._http.request(method, url, timeout=_TIMEOUT, **arguments) as answer:
            if answer.status >= 300:
                raise ShopError(f"{method} {url}: {answer.status} {(await answer.text())[:200]}")
            found: dict[str, Any] = await answer.json() if answer.content_length else {}
            return found


def percentile(sorted_seconds: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    return next(islice(sorted_seconds, int(len(sorted_seconds) * share), None), sorted_seconds[-1])
