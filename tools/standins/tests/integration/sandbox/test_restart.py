"""A sandbox that is killed comes back with its ledger, its keys and what was still to go wrong."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe

from standins.sandbox.embedded import embedded
from standins.sandbox.settings import Settings
from tools.standins.tests.integration.sandbox.typed import Connect, Hold

URL = re.compile(rb"running on (http://[\d.:]+)")


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[str]:
    """A sandbox in a process of its own, killed at the end without a chance to tidy up."""
    env = os.environ | {
        "PORT": "0",
        "SANDBOX_API_KEY": settings.api_key,
        "SANDBOX_JOURNAL": str(settings.journal),
    }
    command = (sys.executable, "-m", "standins.sandbox")
    child = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    assert child.stderr is not None
    try:
        async with asyncio.timeout(20):
            while not (found := URL.search(await child.stderr.readline())):
                assert child.returncode is None, "the sandbox ended"
        yield found[1].decode()
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()


async def ledger(url: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/_sandbox/ledger") as answer:
        return await answer.json()


async def test_a_killed_sandbox_remembers_payments_and_keys(
    settings: Settings, connect: Connect, hold: Hold
) -> None:
    async with process(settings) as url:
        client = connect(url)
        held = [await hold(client, order=f"order-{number}") for number in range(3)]
        await client.v1.payment_intents.capture_async(held[0].id)
        await client.v1.payment_intents.capture_async(held[1].id)
        await client.v1.refunds.create_async({"payment_intent": held[1].id, "amount": 500})
        before = await ledger(url)
    async with process(settings) as url:
        assert await ledger(url) == before
        client = connect(url)
        again = await hold(client, order="order-0")
        assert (again.id, again.status) == (held[0].id, "requires_capture")
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.refunds.create_async({"payment_intent": held[1].id, "amount": 1500})
        assert (await ledger(url))["balanced"]


async def test_a_fault_does_not_happen_again_after_a_restart(
    settings: Settings, connect: Connect, hold: Hold
) -> None:
    card = "pm_card_sandbox_authorizeThenServerError"
    async with embedded(settings) as sandbox:
        await sandbox.fault(operation="capture", kind="error_before", count=2)
        with pytest.raises(stripe.APIError):
            await hold(connect(sandbox), card=card)
    async with embedded(settings) as sandbox:
        client = connect(sandbox)
        held = await hold(client, card=card)
        for _ in range(2):
            with pytest.raises(stripe.APIError):
                await client.v1.payment_intents.capture_async(held.id)
        assert (await client.v1.payment_intents.capture_async(held.id)).status == "succeeded"


async def test_a_torn_last_line_is_forgotten(settings: Settings, connect: Connect, hold: Hold) -> None:
    async with embedded(settings) as sandbox:
        await hold(connect(sandbox))
        before = await sandbox.ledger()
    with settings.journal.open("ab") as journal:
        journal.write(b'{"change":{"at":17')
    async with embedded(settings) as sandbox:
        assert await sandbox.ledger() == before
        await hold(connect(sandbox), order="order-2")
    async with embedded(settings) as sandbox:
        assert len((await sandbox.ledger())["payments"]) == 2


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({}, "set SANDBOX_API_KEY"),
        ({"SANDBOX_API_KEY": "x"}, "set SANDBOX_JOURNAL"),
        (
            {"SANDBOX_API_KEY": "x", "SANDBOX_JOURNAL": "j", "PORT": "http"},
            "PORT: Input should be a valid integer",
        ),
        (
            {"SANDBOX_API_KEY": "x", "SANDBOX_JOURNAL": "j", "SANDBOX_WEBHOOK_URL": "http://x"},
            "set SANDBOX_WEBHOOK_SECRET",
        ),
        (
            {"SANDBOX_API_KEY": "x", "SANDBOX_JOURNAL": "j", "SANDBOX_WEBHOOK_EVENTS": "all"},
            "SANDBOX_WEBHOOK_EVENTS",
        ),
        ({"SANDBOX_API_KEY": "x", "SANDBOX_JOURNAL": "broken"}, "broken:1 is no JSON line"),
    ],
)
async def test_a_sandbox_that_cannot_start_says_in_one_line_what_to_do(
    tmp_path: Path, env: dict[str, str], complaint: str
) -> None:
    (tmp_path / "broken").write_bytes(b"payments\n")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "standins.sandbox"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]} | env,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        _, stderr = await child.communicate()
    assert child.returncode == 1
    [line] = stderr.decode().splitlines()
    assert line.startswith("sandbox: ")
    assert complaint in line
