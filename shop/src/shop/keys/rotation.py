"""The steps of a rotation on this machine's stack, each complete when every verifier has it.

Auth rereads its file by itself; the gateway's file is rendered, and the gateway reloads it.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from shop.audit.trail import Audit, AuditedAction, operator
from shop.errors import ShopError
from shop.keys.ring import Ring, SigningKey
from shop.keys.verifiers import Verifiers
from shop.machine import write
from shop.secrets import SIGNING_KEYS
from shop.targets import LocalTarget


@dataclass(frozen=True)
class Rotation:
    """Of a stack that runs; begin with `rotating`."""

    stack: LocalTarget
    verifiers: Verifiers
    audit: Audit
    why: str

    @property
    def file(self) -> Path:
        return self.stack.secrets.path(SIGNING_KEYS)

    @property
    def ring(self) -> Ring:
        return Ring.read(self.file.read_text())

    async def add(self) -> SigningKey:
        """Add a key that every verifier accepts and nothing is signed with."""
        ring, key = self.ring, SigningKey.made(int(time.time()))
        await self._become("add", ring, ring.add(key))
        await self.verifiers.until_all_accept(key)
        return key

    async def use(self, name: str) -> SigningKey:
        """Refused unless every verifier accepts its tokens."""
        ring = self.ring
        key = ring.key(name)
        changed = ring.use(key, int(time.time()))
        await self.verifiers.until_all_accept(key)
        await self._become("use", ring, changed)
        return key

    async def drop(self, name: str, *, with_its_tokens: bool) -> SigningKey:
        """No verifier accepts it any more."""
        ring = self.ring
        key = ring.key(name)
        await self._become("drop", ring, ring.drop(key, int(time.time()), with_its_tokens=with_its_tokens))
        await self.verifiers.until_none_accepts(key)
        return key

    async def _become(self, what: str, before: Ring, after: Ring) -> None:
        action = AuditedAction(f"keys {what}", self.why, before=_kids(before), after=_kids(after))
        async with self.audit.record(action):
            write(self.file, after.text())
            self.stack.reload_gateway()


def _kids(ring: Ring) -> dict[str, list[str]]:
    return {"keys": [key.kid for key in ring.keys]}


@asynccontextmanager
async def rotating(stack: LocalTarget, why: str) -> AsyncIterator[Rotation]:
    """Reloads the gateway first, in case the previous step was interrupted.

    One at a time. Raises ShopError unless the stack runs.
    """
    with stack.exclusive():
        if not stack.is_running():
            raise ShopError("the shop is not running: `shop up` first, or pass the file with --file")
        stack.reload_gateway()
        async with httpx.AsyncClient() as http, Audit.opened(stack, operator()) as audit:
            yield Rotation(stack, Verifiers.of(stack, http), audit, why)
