"""Staff of the shop, and users of the provider's dashboard, as the load needs them."""

import time
from typing import Any

import httpx

from devstack import Stack
from lab.chaos.history import History, ProviderAction, ReturnRequest
from scenarios.shopper import must

TOKEN_SECONDS = 300.0  # a third of an access token's lifetime
NOT_NOW = {429, 500, 502, 503, 504}
IN_USE = {"/problems/idempotency-key-in-use", "/problems/idempotency-claim-lost"}


class Staff:
    """One account that may do everything. Raises what `must` and the HTTP client raise."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient) -> None:
        self._stack = stack
        self._http = http
        self._token = ""
        self._since = float("-inf")

    async def fulfil(self, order_id: str) -> None:
        await self._request("POST", f"/v1/orders/{order_id}/fulfil")

    async def reprice(self, sku: str, price: int) -> None:
        await self._request("PATCH", f"/v1/products/{sku}", json={"price": price})

    async def submit(self, one: ReturnRequest) -> None:
        """Submit a return with its shopper's token, a refund with staff's; again, with the same key."""
        token = await self._logged_in() if one.by == "staff" else one.checkout.bearer
        response = await self._http.post(
            f"/v1/orders/{one.order_id}/{'refunds' if one.by == 'staff' else 'returns'}",
            json=one.body,
            headers={**bearer(token), "Idempotency-Key": one.key},
        )
        if response.status_code == 201:
            one.return_ids.add(response.json()["return_id"])
            one.amount = response.json()["amount"]["amount"]
        elif response.status_code not in NOT_NOW and response.json()["type"] not in IN_USE:
            one.refused = f"{response.status_code} {response.text[:200]}"

    async def receive(self, one: ReturnRequest) -> None:
        """The returned goods are here. A refund by staff needs none."""
        if one.by == "return":
            for return_id in one.return_ids:
                await self._request("POST", f"/v1/orders/{one.order_id}/returns/{return_id}/receive")
                one.received = True

    async def _request(self, method: str, path: str, **more: Any) -> None:
        headers = bearer(await self._logged_in())
        must(await self._http.request(method, path, headers=headers, **more), 200)

    async def _logged_in(self) -> str:
        if time.monotonic() - self._since > TOKEN_SECONDS:
            form = {"username": self._stack.admin_email, "password": self._stack.admin_password}
            self._token = must(await self._http.post("/v1/token", data=form), 200)["access_token"]
            self._since = time.monotonic()
        return self._token


class ProviderDashboard:
    """What a person does in the provider's dashboard, or a bank. Only what was answered goes into the
    history: the checks read from the provider's ledger what else was done."""

    def __init__(self, http: httpx.AsyncClient, sandbox_url: str, history: History) -> None:
        self._http = http
        self._url = f"{sandbox_url}/_sandbox"
        self._history = history

    async def payment(self, order_id: str) -> tuple[str, int]:
        """The payment's id, and how much was captured, in the provider's units; a free order has none."""
        found = must(await self._http.get(f"{self._url}/ledger", params={"order_id": order_id}), 200)
        for one in found["payments"]:
            return one["id"], one["captured"]
        return "", 0

    async def refund(self, order_id: str, payment: str, amount: int) -> None:
        made = await self._post("refunds", payment_intent=payment, amount=amount)
        self._history.provider_actions.append(ProviderAction(order_id, "refund", made["id"]))

    async def fail_refund(self, order_id: str, payment: str) -> None:
        """The newest refund fails: its money comes back."""
        failed = await self._post("refunds", payment_intent=payment, status="failed")
        self._history.provider_actions.append(ProviderAction(order_id, "failure", failed["id"]))

    async def dispute(self, order_id: str, payment: str, outcome: str | None) -> None:
        """Open a dispute, and close it if it is to be `won` or `lost`."""
        opened = await self._post("disputes", payment_intent=payment)
        self._history.provider_actions.append(ProviderAction(order_id, "dispute", opened["id"]))
        if outcome is not None:
            await self._post("disputes", dispute=opened["id"], status=outcome)

    async def _post(self, what: str, **body: Any) -> dict[str, Any]:
        return must(await self._http.post(f"{self._url}/{what}", json=body), 200)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
