"""Staff of the shop, as the load needs them: they fulfil, receive, refund and change prices."""

import time
from typing import Any

import httpx

from devstack import Stack
from lab.chaos.memory import GoesBack
from scenarios.shopper import must

TOKEN_SECONDS = 300.0  # a third of what an access token is good for
NOT_YET = {429, 500, 502, 503, 504}
IN_USE = {"/problems/idempotency-key-in-use", "/problems/idempotency-claim-lost"}


class Staff:
    """One account that may do everything. Raises what a client raises."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient) -> None:
        self._stack = stack
        self._http = http
        self._token = ""
        self._since = float("-inf")

    async def fulfil(self, order_id: str) -> None:
        await self._do("POST", f"/v1/orders/{order_id}/fulfil")

    async def reprice(self, sku: str, price: int) -> None:
        await self._do("PATCH", f"/v1/products/{sku}", json={"price": price})

    async def ask(self, one: GoesBack) -> None:
        """In a shopper's name for a return, in their own for a refund. With the same key it is the same."""
        token = await self._logged_in() if one.by == "staff" else one.checkout.bearer
        answer = await self._http.post(
            f"/v1/orders/{one.order_id}/{'refunds' if one.by == 'staff' else 'returns'}",
            json=one.body,
            headers={**bearer(token), "Idempotency-Key": one.key},
        )
        if answer.status_code == 201:
            one.return_ids.add(answer.json()["return_id"])
            one.amount = answer.json()["amount"]["amount"]
        elif answer.status_code not in NOT_YET and answer.json()["type"] not in IN_USE:
            one.refused = f"{answer.status_code} {answer.text[:200]}"

    async def receive(self, one: GoesBack) -> None:
        """The goods are here. Refunds were granted at once."""
        if one.by == "return":
            for return_id in one.return_ids:
                await self._do("POST", f"/v1/orders/{one.order_id}/returns/{return_id}/receive")
                one.received = True

    async def _do(self, method: str, path: str, **more: Any) -> None:
        headers = bearer(await self._logged_in())
        must(await self._http.request(method, path, headers=headers, **more), 200)

    async def _logged_in(self) -> str:
        if time.monotonic() - self._since > TOKEN_SECONDS:
            form = {"username": self._stack.admin_email, "password": self._stack.admin_password}
            self._token = must(await self._http.post("/v1/token", data=form), 200)["access_token"]
            self._since = time.monotonic()
        return self._token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
