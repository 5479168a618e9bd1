"""A mailbox inside a test, with control of its faults and access to its mails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from standins.mailbox.__main__ import Mailbox
from standins.mailbox.settings import Settings
from standins.running import served


@dataclass(frozen=True, slots=True)
class Embedded:
    """`smtp_port` is where it takes mail on `settings.host`."""

    url: str
    smtp_port: int
    settings: Settings
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, content: object = None, **query: str) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.url}{path}", json=content, params=query) as answer:
            return answer.status, await answer.json(content_type=None)

    async def messages(self, **query: str) -> list[Any]:
        """The newest first, whole."""
        _, found = await self.ask("GET", "/api/v1/messages", **query)
        whole = [await self.ask("GET", f"/api/v1/messages/{one['ID']}") for one in found["messages"]]
        return [message for _, message in whole]

    async def fault(self, **fault: Any) -> None:
        status, reply = await self.ask("POST", "/_mailbox/faults", fault)
        if status != 200:
            raise ValueError(reply["detail"])


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Embedded]:
    mailbox = Mailbox(settings)
    async with served(mailbox.server()) as url, aiohttp.ClientSession() as http:
        yield Embedded(url, mailbox.smtp_port, settings, http)
