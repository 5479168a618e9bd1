"""Mails that could not be delivered are found, named and sent again, on the whole shop."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from devstack import Stack
from devstack.supervisor import Supervisor
from lab.services import scenario_shop
from scenarios.mails import mails
from scenarios.play import Play, new_play
from shop.audit.trail import Audit, Entry
from shop.errors import ShopError

from .conftest import Run

SECONDS = 60


@asynccontextmanager
async def paid_while_the_mailbox(stack: Stack, **fault: Any) -> Any:
    """An order that was paid, with something wrong at the mailbox for its shopper alone."""
    async with new_play(scenario_shop(stack)) as play:
        recipient = {"recipient": play.shopper.email}
        (
            await play.http.post(f"{stack.mailbox_url}/_mailbox/faults", json=fault | recipient)
        ).raise_for_status()
        await play.fill_cart()
        await play.check_out()
        await play.until("paid")
        yield play
        (await play.http.delete(f"{stack.mailbox_url}/_mailbox/faults")).raise_for_status()


async def arrived(stack: Stack, order_id: str) -> list[str | None]:
    async with httpx.AsyncClient() as http:
        return [mail.reason for mail in await mails(http, stack.mailbox_url, order_id)]


async def eventually(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await holds():
            await asyncio.sleep(0.1)


def until_listed(run: Run, order_id: str, fate: str) -> dict[str, Any]:
    async def listed() -> list[dict[str, Any]]:
        _, found = await asyncio.to_thread(run, "mails", "list")
        return [one for one in found["mails"] if one["subject_id"] == order_id]

    async def wait() -> dict[str, Any]:
        await eventually(listed)
        [one] = await listed()
        return one

    found = asyncio.run(wait())
    assert found["fate"] == fate
    return found


def test_a_rejected_mail_is_named_and_arrives_when_it_is_sent_again(stack: Stack, run: Run) -> None:
    async def place() -> str:
        async with paid_while_the_mailbox(stack, kind="reject") as play:
            await until_kept(stack, play)
            return str(play.order_id)

    order_id = asyncio.run(place())
    mail = until_listed(run, order_id, "rejected")
    assert (mail["id"], mail["why"]) == (f"receipt:{order_id}", "refused with 550 5.7.1")

    code, stuck = run("saga", "list")
    [named] = [one for one in stuck["stuck"] if one["order_id"] == order_id]
    assert (code, named["kind"]) == (3, "mail-rejected")
    assert named["next"] == f"shop mails resend receipt:{order_id} --why TEXT"
    _, ledger = run("ledger", "check")
    assert [one for one in ledger["undeliverable"] if order_id in one]
    findings = {one["check"]: one["findings"] for one in ledger["checks"]}
    assert [one for one in findings["every-shopper-is-mailed"] if order_id in one] == []

    with pytest.raises(ShopError, match="pass --yes and --why"):
        run("mails", "resend", mail["id"])
    with pytest.raises(ShopError, match="no undeliverable mail"):
        run("mails", "resend", f"receipt:{uuid4()}", "--why", "typo", "--yes")
    why = f"the mailbox takes mail again {uuid4().hex}"
    code, done = run("mails", "resend", mail["id"], "--why", why, "--yes")
    assert (code, done) == (0, {"asked_for": [mail["id"]]})

    asyncio.run(eventually(lambda: arrived(stack, order_id)))
    assert asyncio.run(arrived(stack, order_id)) == ["receipt"]
    assert order_id not in json.dumps(run("mails", "list")[1])
    entry = asyncio.run(audited(stack, order_id))
    assert (entry.action, entry.why, entry.state) == ("resend-mail", why, "done")
    assert entry.message_id is not None
    assert entry.message_id.startswith("mail.resend_requested/")


def test_a_mail_that_was_in_hand_at_a_crash_is_in_doubt_and_never_sent_twice(stack: Stack, run: Run) -> None:
    async def crash() -> str:
        async with paid_while_the_mailbox(stack, kind="slow", seconds=2) as play:
            await eventually(lambda: begun(stack, play))
            os.kill(Supervisor(stack).info()["notification"]["pid"], signal.SIGKILL)
            await eventually(lambda: arrived(stack, str(play.order_id)))
            return str(play.order_id)

    order_id = asyncio.run(crash())
    mail = until_listed(run, order_id, "in_doubt")
    assert asyncio.run(arrived(stack, order_id)) == ["receipt"]

    _, stuck = run("saga", "list")
    assert "mail-in-doubt" in [one["kind"] for one in stuck["stuck"] if one["order_id"] == order_id]
    run("mails", "resend", mail["id"], "--why", "the shopper says that it never came", "--yes")
    asyncio.run(eventually(lambda: arrived_twice(stack, order_id)))
    _, ledger = run("ledger", "check")
    findings = {one["check"]: one["findings"] for one in ledger["checks"]}
    assert [one for one in findings["every-mail-is-sent-once"] if order_id in one] == []


async def arrived_twice(stack: Stack, order_id: str) -> bool:
    return await arrived(stack, order_id) == ["receipt", "receipt"]


async def begun(stack: Stack, play: Play) -> Any:
    return await fetched(stack, "SELECT 1 FROM intent WHERE subject = $1 AND started_at IS NOT NULL", play)


async def until_kept(stack: Stack, play: Play) -> None:
    query = "SELECT 1 FROM kept_mail WHERE subject_id = $1"
    await eventually(lambda: fetched(stack, query, play))


async def fetched(stack: Stack, query: str, play: Play) -> Any:
    connection = await asyncpg.connect(stack.operator_dsn("notification"), timeout=SECONDS)
    try:
        return await connection.fetchval(query, UUID(play.order_id))
    finally:
        await connection.close()


async def audited(stack: Stack, order_id: str) -> Entry:
    async with Audit.opened(stack, "test") as audit:
        [entry] = await audit.entries(limit=10, order_id=order_id)
        return entry
