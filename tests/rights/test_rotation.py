"""The signing key is rotated while the shop runs: both keys are accepted meanwhile, and no request fails."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from devstack import Stack
from devstack.operated import OperatedStack
from devstack.programs import script
from shop.keys.ring import Ring, SigningKey
from shop.keys.rotation import rotating
from shop.keys.verifiers import Verifiers
from shop.machine import write
from shop.secrets import SIGNING_KEYS
from tests.rights.world import World, bearing

pytestmark = pytest.mark.timeout(300)


@dataclass
class Visitors:
    """Guests who keep coming, each with a token of this moment, and one who came before the rotation."""

    stack: Stack
    http: httpx.AsyncClient
    first: str
    seen: Counter[int] = field(default_factory=Counter)

    async def keep_coming(self) -> None:
        while True:
            new = await self.http.post(f"{self.stack.gateway_url}/v1/guests")
            self.seen[new.status_code] += 1
            for token in (new.json()["access_token"], self.first):
                for place, path in (
                    ("gateway", "/v1/cart"),
                    ("cart", "/v1/cart/lines"),
                    ("order", "/v1/orders"),
                ):
                    answer = await self.http.get(self.stack.http(place) + path, headers=bearing(token))
                    self.seen[answer.status_code] += 1
            await asyncio.sleep(0.02)


@asynccontextmanager
async def visited(stack: Stack, first: str) -> AsyncIterator[Visitors]:
    async with httpx.AsyncClient(timeout=30) as http:
        visitors = Visitors(stack, http, first)
        coming = asyncio.create_task(visitors.keep_coming())
        try:
            yield visitors
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


async def shop(stack: Stack, *arguments: str) -> tuple[int | None, str]:
    """Exit code and output of `shop keys …`."""
    process = await asyncio.create_subprocess_exec(
        script("shop"),
        "keys",
        *arguments,
        env={**os.environ, "SHOP_STACK": str(stack.folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 100)
    return process.returncode, said.decode()


async def listed(stack: Stack) -> list[dict[str, Any]]:
    code, said = await shop(stack, "list", "--json")
    assert code == 0, said
    keys: list[dict[str, Any]] = json.loads(said)
    return keys


def held(stack: Stack) -> list[SigningKey]:
    return [SigningKey(jwk) for jwk in json.loads(stack.secret(SIGNING_KEYS))["keys"]]


async def test_during_a_rotation_all_tokens_work_and_afterwards_the_old_key_is_refused(world: World) -> None:
    stack, first = world.stack, world.token("guest")
    assert first is not None
    [old] = held(stack)
    async with visited(stack, first) as visitors:
        code, said = await shop(stack, "add")
        assert code == 0, said
        [_, new] = held(stack)
        assert [key["does"] for key in await listed(stack)] == ["signs", "waits"]

        code, said = await shop(stack, "use", new.kid)
        assert code == 0, said
        assert [key["does"] for key in await listed(stack)] == ["signs", "stays"]
        during = Verifiers.of(OperatedStack.load(stack.folder), visitors.http)
        assert set((await during.who_accepts(old)).values()) == {True}
        assert set((await during.who_accepts(new)).values()) == {True}

        code, said = await shop(stack, "drop", "--", old.kid)
        assert (code, "are valid until" in said) == (1, True)
        before = visitors.seen.total()
        while visitors.seen.total() < before + 50:
            await asyncio.sleep(0.05)
    assert set(visitors.seen) <= {200, 201}, visitors.seen

    code, said = await shop(stack, "drop", "--now", "--why", "it was lost", "--", old.kid)
    assert code == 0, said
    async with httpx.AsyncClient(timeout=30) as http:
        after = Verifiers.of(OperatedStack.load(stack.folder), http)
        assert set((await after.who_accepts(old)).values()) == {False}
        assert set((await after.who_accepts(new)).values()) == {True}


async def test_an_interrupted_rotation_is_completed_by_the_next_command(world: World) -> None:
    file = world.stack.secrets.path(SIGNING_KEYS)
    before = Ring.read(file.read_text())
    added = SigningKey.made(int(time.time()))
    write(file, before.add(added).text())  # and there the process died: the gateway was not reloaded

    async with rotating(OperatedStack.load(world.stack.folder), "taken up again") as rotation:
        await rotation.use(added.kid)

    assert [key["does"] for key in await listed(world.stack)] == ["signs", "stays"]
    token = world.token("guest")
    answer = world.http.get(f"{world.stack.gateway_url}/v1/cart", headers=bearing(token))
    assert answer.status_code == 200


async def test_every_change_of_the_signing_keys_is_in_the_audit(world: World) -> None:
    async with rotating(OperatedStack.load(world.stack.folder), "to be looked at") as rotation:
        added = await rotation.add()
        await rotation.drop(added.kid, with_its_tokens=False)
        [add, drop] = await rotation.audit.entries(limit=2)
    assert [entry.action for entry in (add, drop)] == ["keys add", "keys drop"]
    assert {(entry.why, entry.state) for entry in (add, drop)} == {("to be looked at", "done")}
    assert added.kid in add.after["keys"]
    assert added.kid not in drop.after["keys"]
    assert added.jwk["d"] not in str((add, drop))
