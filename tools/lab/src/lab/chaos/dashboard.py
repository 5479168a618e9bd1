"""The provider's side of a payment: what a person does in its dashboard, or a bank."""

from typing import Any

import httpx

from lab.chaos.memory import AtProvider, Memory
from scenarios.shopper import must


class Dashboard:
    """What is answered is remembered. What is not has perhaps been done: the ledger knows."""

    def __init__(self, http: httpx.AsyncClient, url: str, memory: Memory) -> None:
        self._http = http
        self._url = f"{url}/_sandbox"
        self._memory = memory

    async def payment(self, order_id: str) -> tuple[str, int]:
        """The provider's id of it, and how much was taken, in its units: none of a free order's."""
        found = must(await self._http.get(f"{self._url}/ledger", params={"order_id": order_id}), 200)
        for one in found["payments"]:
            return one["id"], one["captured"]
        return "", 0

    async def refund(self, order_id: str, payment: str, amount: int) -> None:
        """Part of what was taken."""
        made = await self._tell("refunds", payment_intent=payment, amount=amount)
        self._memory.at_provider.append(AtProvider(order_id, "refund", made["id"]))

    async def fail_a_refund(self, order_id: str, payment: str) -> None:
        """The newest comes back."""
        failed = await self._tell("refunds", payment_intent=payment, status="failed")
        self._memory.at_provider.append(AtProvider(order_id, "failure", failed["id"]))

    async def dispute(self, order_id: str, payment: str, ends: str | None) -> None:
        """Opened, and ended if it is to be `won` or `lost`."""
        opened = await self._tell("disputes", payment_intent=payment)
        self._memory.at_provider.append(AtProvider(order_id, "dispute", opened["id"]))
        if ends is not None:
            await self._tell("disputes", dispute=opened["id"], status=ends)

    async def _tell(self, what: str, **asked: Any) -> dict[str, Any]:
        return must(await self._http.post(f"{self._url}/{what}", json=asked), 200)
