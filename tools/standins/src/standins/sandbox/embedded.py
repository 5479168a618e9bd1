"""A sandbox inside a test, with control of its faults and access to its ledger."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from standins.running import served
from standins.sandbox.app import build
from standins.sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class Embedded:
    """`url` is what STRIPE_API_BASE would be."""

    url: str
    settings: Settings
    http: aiohttp.ClientSession

    async def control(self, method: str, path: str, content: object = None) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.url}/_sandbox/{path}", json=content) as answer:
            return answer.status, await answer.json(content_type=None)

    async def ledger(self, order: str | None = None) -> Any:
        _, found = await self.control("GET", f"ledger?order_id={order}" if order else "ledger")
        return found

    async def authenticate(self, payment_intent: str, outcome: str) -> Any:
        """The shopper confirms at her bank (`succeeded`) or refuses (`failed`)."""
        sent = {"payment_intent": payment_intent, "outcome": outcome}
        status, reply = await self.control("POST", "authentications", sent)
        if status != 200:
            raise ValueError(reply["detail"])
        return reply

    async def fault(self, **fault: Any) -> None:
        status, reply = await self.control("POST", "faults", fault)
        if status != 200:
            raise ValueError(reply["detail"])


@asynccontextmanager
async def embedded(settings: Settings, clock: Callable[[], float] = time.time) -> AsyncIterator[Embedded]:
    async with served(build(settings, clock)) as url, aiohttp.ClientSession() as http:
        yield Embedded(url, settings, http)
