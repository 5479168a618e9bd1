"""A shopper: all requests go through the gateway, as those of a storefront would."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import httpx

POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 2.0
T = TypeVar("T")


class Unexpected(Exception):
    """The shop's response is not the one that the script needs."""


@dataclass
class Shopper:
    """One shopper with a token and a cart."""

    http: httpx.AsyncClient
    token: str
    email: str

    @classmethod
    async def guest(cls, http: httpx.AsyncClient) -> "Shopper":
        answer = must(await http.post("/v1/guests"), 201, 200)
        return cls(http, answer["access_token"], f"guest-{uuid4().hex[:8]}@example.com")

    @classmethod
    async def with_new_account(
        cls, http: httpx.AsyncClient, email: str, guest_token: str | None = None
    ) -> "Shopper":
        """Register a new account and log in, as that guest if given."""
        account = {"email": email, "password": uuid4().hex}
        must(await http.post("/v1/users", json=account), 201)
        form = {"username": email, "password": account["password"]}
        guest = {"guest_token": guest_token} if guest_token else {}
        answer = must(await http.post("/v1/token", data=form | guest), 200)
        return cls(http, answer["access_token"], email)

    async def with_account(self) -> "Shopper":
        """Log this guest in to a new account."""
        return await self.with_new_account(self.http, self.email, self.token)

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.token)

    async def fill_cart(self, items: dict[str, int]) -> None:
        """Replace the content of the cart: sku to quantity."""
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in items.items()]
        must(await self.http.put("/v1/cart", json={"items": lines}, headers=self.headers), 200, 204)

    async def cart(self) -> dict[str, int]:
        return {line["sku"]: line["quantity"] for line in (await self._get("/v1/cart"))["items"]}

    async def until_cart_is_empty(self, seconds: float = 30) -> None:
        """Wait until the cart is empty, as after a paid order. Raises `TimeoutError`."""
        lines = partial(self._get, "/v1/cart/lines")
        await poll(lines, lambda cart: not cart["items"], seconds, LONGEST_POLL_SECONDS)

    async def try_check_out(
        self, payment_method: str | None = "pm_card_visa", *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """Place the order. Returns any response. `more` is added to the request's body."""
        return await self.http.post(
            "/v1/orders",
            json={"payment_method": payment_method, "email": self.email, **more},
            headers={**self.headers, "Idempotency-Key": key or uuid4().hex},
        )

    async def check_out(self, payment_method: str = "pm_card_visa", **more: Any) -> str:
        """Place the order. Returns its id."""
        return str(must(await self.try_check_out(payment_method, **more), 202)["order_id"])

    async def cancel(self, order_id: str) -> dict[str, Any]:
        return must(await self.http.post(f"/v1/orders/{order_id}/cancel", headers=self.headers), 200, 202)

    async def order(self, order_id: str) -> dict[str, Any]:
        return await self._get(f"/v1/orders/{order_id}")

    async def orders(self) -> list[dict[str, Any]]:
        return list((await self._get("/v1/orders"))["items"])

    async def until_listed(self, order_id: str, seconds: float = 30) -> None:
        """Wait until the shopper's list has the order. Raises `TimeoutError`."""
        await poll(self.orders, lambda found: order_id in [one["order_id"] for one in found], seconds)

    async def look_up(self, number: str) -> httpx.Response:
        """Look the order up by number and address, without a token."""
        return await self.http.post("/v1/order-lookups", json={"number": number, "email": self.email})

    async def claim(self, token: str) -> httpx.Response:
        """Claim an order with the token of a receipt's link."""
        return await self.http.post("/v1/order-claims", json={"token": token}, headers=self.headers)

    async def timeline(self, order_id: str) -> list[dict[str, Any]]:
        return list((await self._get(f"/v1/orders/{order_id}/timeline"))["events"])

    async def until_in_timeline(self, order_id: str, event_type: str, seconds: float = 30) -> None:
        """Wait until the order's timeline has the event. Raises `TimeoutError`."""
        timeline = partial(self.timeline, order_id)
        await poll(timeline, lambda events: event_type in [one["type"] for one in events], seconds)

    async def until(self, order_id: str, status: str, seconds: float = 30) -> None:
        """Wait for a status. Raises `TimeoutError`."""
        await poll(lambda: self.order(order_id), lambda order: order["status"] == status, seconds)

    async def until_order(
        self, order_id: str, holds: Callable[[dict[str, Any]], object], seconds: float = 30
    ) -> dict[str, Any]:
        """Wait until the condition holds for the order. Returns it. Raises `TimeoutError`."""
        return await poll(lambda: self.order(order_id), holds, seconds, LONGEST_POLL_SECONDS)

    async def _get(self, path: str) -> dict[str, Any]:
        return must(await self.http.get(path, headers=self.headers), 200)


async def poll(
    read: Callable[[], Awaitable[T]],
    holds: Callable[[T], object],
    seconds: float,
    longest_pause: float = POLL_SECONDS,
) -> T:
    """Read until the condition holds, with pauses that double up to the longest. Returns what was read.
    Raises `TimeoutError`."""
    pause = POLL_SECONDS
    async with asyncio.timeout(seconds):
        while True:
            pause = min(2 * pause, longest_pause)
            await asyncio.sleep(pause)
            if holds(found := await read()):
                return found


async def press_bank_button(http: httpx.AsyncClient, sandbox_url: str, page: str, choice: str) -> str:
    """Press a button of the bank's page, `complete` or `fail`. Returns where it redirects to. The page is the
    sandbox's, which is reached at `sandbox_url` from here."""
    here = httpx.URL(sandbox_url)
    url = httpx.URL(page).copy_with(scheme=here.scheme, host=here.host, port=here.port)
    pressed = await http.post(url, data={"choice": choice})
    must(pressed, 303)
    return str(pressed.headers["location"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def must(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The response's JSON. Raises `Unexpected`, with the response, for another status."""
    if response.status_code not in statuses:
        request = response.request
        raise Unexpected(f"{request.method} {request.url.path}: {response.status_code} {response.text[:300]}")
    return response.json() if response.content else {}
