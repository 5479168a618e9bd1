"""What the warehouse does: it looks through the orders, ships what was paid, receives what was returned."""

import asyncio
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from standins.warehouse.settings import Settings

log = logging.getLogger("uvicorn.error")

Json = Mapping[str, Any]
_LOG_IN_AGAIN = 401
_TOO_LATE = (404, 409)  # cancelled, withdrawn or rejected meanwhile


class Failed(Exception):
    """The shop did not do what it was asked for; the next round asks again."""


@dataclass(frozen=True)
class Rules:
    """Which orders are the warehouse's, and when what is due.

    `skus`: an order with any other product belongs to somebody else, such as a test on the same shop.
    """

    skus: frozenset[str]
    ship_after: timedelta
    receive_after: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """Raises OSError or ValueError if the catalogue cannot be read."""
        products = json.loads(settings.catalogue.read_text())
        return cls(
            frozenset(product["sku"] for product in products),
            timedelta(seconds=settings.ship_after),
            timedelta(seconds=settings.receive_after),
        )

    def due(self, order: Json, now: datetime) -> list[str]:
        """The paths of the calls that are due for an order of the API."""
        if order["status"] != "paid" or not all(line["sku"] in self.skus for line in order["lines"]):
            return []
        path = f"/v1/orders/{order['order_id']}"
        if order["fulfilled_at"] is None:
            return [f"{path}/fulfil"] if _age(order["paid_at"], now) >= self.ship_after else []
        return [
            f"{path}/returns/{one['return_id']}/receive"
            for one in order["returns"]
            if one["state"] == "requested" and _age(one["requested_at"], now) >= self.receive_after
        ]


def _age(time: str, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(time)


class Warehouse:
    """Works in rounds. Each reads the newest page of paid orders, and one more of the older ones, in turn: so
    a round costs the same however many orders there are, and every order is looked at now and then."""

    def __init__(self, settings: Settings, rules: Rules, http: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._rules = rules
        self._http = http
        self._headers: dict[str, str] = {}
        self._older: str | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        failures = 0
        while True:
            try:
                await self.round()
                failures = 0
            except (aiohttp.ClientError, TimeoutError, Failed) as error:
                failures += 1
                log.warning("warehouse: %s", error or type(error).__name__)
            await asyncio.sleep(self._pause(failures))

    async def round(self) -> None:
        """Raises Failed, `aiohttp.ClientError` or TimeoutError; what was not done is due in the next one."""
        following = await self._work_on_page(None)
        self._older = await self._work_on_page(self._older) if self._older else following

    async def _work_on_page(self, before: str | None) -> str | None:
        """Returns where the next page begins, None after the last."""
        query = {"status": "paid", "limit": str(self._settings.page)} | ({"before": before} if before else {})
        page = await self._call("GET", "/v1/orders", params=query)
        for path in self._all_due(page["items"]):
            await self._do(path)
        following: str | None = page["next"]
        return following

    async def _do(self, path: str) -> None:
        """An order whose call fails does not keep the others waiting: it is due again in the next round."""
        try:
            await self._call("POST", path)
        except Failed as failure:
            log.warning("warehouse: %s", failure)
        else:
            log.info("warehouse: %s", path)

    def _all_due(self, orders: Sequence[Json]) -> Iterator[str]:
        now = datetime.now(UTC)
        return (path for order in orders for path in self._rules.due(order, now))

    async def _call(self, method: str, path: str, **options: Any) -> Json:
        if not self._headers:
            await self._log_in()
        async with self._http.request(method, path, headers=self._headers, **options) as response:
            if response.status == _LOG_IN_AGAIN:
                self._headers = {}
            if method == "POST" and response.status in _TOO_LATE:
                return {}
            return await _body(response)

    async def _log_in(self) -> None:
        form = {"username": self._settings.email, "password": self._settings.password}
        async with self._http.post("/v1/token", data=form) as response:
            token = await _body(response)
        self._headers = {"Authorization": f"Bearer {token['access_token']}"}

    def _pause(self, failures: int) -> float:
        """Doubles with each failure, and is random so that what failed together is not repeated together."""
        most = min(self._settings.every * 2 ** min(failures, 10), self._settings.longest_pause)
        return most if failures == 0 else random.uniform(self._settings.every / 2, most)


async def _body(response: aiohttp.ClientResponse) -> Json:
    if response.status >= 400:
        raise Failed(f"{response.method} {response.url.path}: {response.status}")
    content: Json = await response.json()
    return content
