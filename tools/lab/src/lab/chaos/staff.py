"""Staff of the shop, and users of the provider's dashboard, as the load needs them."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from devstack import Stack
from lab.chaos.history import History, ProviderAction, ReturnRequest
from scenarios.shopper import bearer, must, press_bank_button

TOKEN_SECONDS = 300.0  # a third of an access token's lifetime
NOT_NOW = {429, 500, 502, 503, 504}
IN_USE = {"/problems/idempotency-key-in-use", "/problems/idempotency-claim-lost"}


@dataclass
class Staff:
    """One account that may do everything. Raises what `must` and the HTTP client raise."""

    stack: Stack
    http: httpx.AsyncClient
    _token: str = ""
    _since: float = float("-inf")

    async def fulfil(self, order_id: str) -> None:
        await self._request("POST", f"/v1/orders/{order_id}/fulfil")

    async def reprice(self, sku: str, price: int) -> None:
        await self._request("PATCH", f"/v1/products/{sku}", json={"price": price})

    async def submit(self, one: ReturnRequest) -> None:
        """Submit a return with its shopper's token, a refund with staff's; again, with the same key."""
        token = await self._logged_in() if one.by == "staff" else one.checkout.bearer
        response = await self.http.post(
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
        must(await self.http.request(method, path, headers=headers, **more), 200)

    async def _logged_in(self) -> str:
        if time.monotonic() - self._since > TOKEN_SECONDS:
            form = {"username": self.stack.admin_email, "password": self.stack.admin_password}
            self._token = must(await self.http.post("/v1/token", data=form), 200)["access_token"]
            self._since = time.monotonic()
        return self._token


@dataclass
class Provider:
    """What a person does in the provider's dashboard or on a bank's page, or a bank itself. Only what was
    answered goes into the history: the checks read from the provider's ledger what else was done."""

    http: httpx.AsyncClient
    sandbox_url: str
    history: History

    async def press_bank_button(self, page: str, choice: str) -> bool:
        """Whether the bank says that the payment is confirmed."""
        location = await press_bank_button(self.http, self.sandbox_url, page, choice)
        return parse_qs(urlsplit(location).query)["redirect_status"] == ["succeeded"]

    async def payment(self, order_id: str) -> tuple[str, int]:
        """The payment's id, and how much was captured, in the provider's units; a free order has none."""
        url = f"{self.sandbox_url}/_sandbox/ledger"
        for one in must(await self.http.get(url, params={"order_id": order_id}), 200)["payments"]:
            return one["id"], one["captured"]
        return "", 0

    async def refund(self, order_id: str, payment: str, amount: int) -> None:
        made = await self._post("refunds", payment_intent=payment, amount=amount)
        self.history.provider_actions.append(ProviderAction(order_id, "refund", made))

    async def fail_refund(self, order_id: str, payment: str) -> None:
        """The newest refund fails: its money comes back."""
        failed = await self._post("refunds", payment_intent=payment, status="failed")
        self.history.provider_actions.append(ProviderAction(order_id, "failure", failed))

    async def dispute(self, order_id: str, payment: str, outcome: str | None) -> None:
        """Open a dispute, and close it if it is to be `won` or `lost`."""
        opened = await self._post("disputes", payment_intent=payment)
        self.history.provider_actions.append(ProviderAction(order_id, "dispute", opened))
        if outcome is not None:
            await self._post("disputes", dispute=opened, status=outcome)

    async def _post(self, what: str, **body: Any) -> str:
        """Returns the provider's id of it."""
        made = must(await self.http.post(f"{self.sandbox_url}/_sandbox/{what}", json=body), 200)
        return str(made["id"])
