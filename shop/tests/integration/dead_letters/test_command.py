"""`shop dead-letters` on the whole shop: a message that cannot be read, mended, and the order is paid."""

import asyncio
import json
import os
import subprocess
from typing import Any
from uuid import UUID

import pytest

from devstack import Stack
from devstack.programs import script
from lab.services import scenario_shop
from scenarios import EXERCISES
from scenarios import run as play
from shop.dead_letters.session import peek
from shop.sagas.command import fetch

pytestmark = pytest.mark.timeout(300)
WHY = ("--yes", "--why", "tested", "--as", "ada@desk")


def shop(stack: Stack, *arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "SHOP_STACK": str(stack.folder), "COLUMNS": "100"}
    done = subprocess.run(
        [script("shop"), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def letters_of(stack: Stack, order_id: str) -> list[dict[str, Any]]:
    found = json.loads(shop(stack, "dead-letters", "list", "--json"))["letters"]
    return [dead_letter for dead_letter in found if dead_letter["order_id"] == order_id]


async def until_dead(stack: Stack, order_id: str, but: str | None = None) -> dict[str, Any]:
    """The order's only dead letter, once there is one (other than `but`)."""
    async with asyncio.timeout(60):
        while not [
            x for x in (await peek(stack, "ada")).dead_letters if x.order_id == order_id and x.id != but
        ]:
            await asyncio.sleep(0.2)
    [dead_letter] = letters_of(stack, order_id)
    return dead_letter


async def until_ended(stack: Stack, order_id: str) -> str:
    async with asyncio.timeout(60):
        while (order := (await fetch(stack, UUID(order_id)))[0])["status"] == "pending":
            await asyncio.sleep(0.2)
    return str(order["status"])


async def test_a_spoilt_message_is_found_edited_and_its_order_is_paid(stack: Stack) -> None:
    report = await play(EXERCISES["spoilt-message"], scenario_shop(stack))
    assert report.as_expected, report
    assert report.order_id is not None
    order_id = report.order_id
    dead = await until_dead(stack, order_id)
    assert (dead["queue"], dead["failed_step"], dead["step"]) == (
        "payment",
        "decode",
        "authorize_payment",
    )
    assert dead["reason"].startswith("total.amount: ")

    unasked = shop(stack, "dead-letters", "replay", dead["id"], code=1)
    assert unasked == "shop: stdin is not a terminal: pass --yes and --why TEXT\n"
    shop(stack, "dead-letters", "replay", dead["id"], *WHY)
    again = await until_dead(stack, order_id, but=dead["id"])
    assert again["died_before"] == 1
    shown = shop(stack, "dead-letters", "show", again["id"])
    assert "dead-lettered before: 1×, last replayed" in shown
    assert f"({order_id}): pending" in " ".join(shown.split())  # the title is folded

    refused = shop(stack, "dead-letters", "edit", again["id"], "--set", "total.amount=x", *WHY, code=1)
    assert refused.startswith("shop: payment could not decode that as order.created: total.amount")
    wrong = shop(stack, "dead-letters", "edit", again["id"], "--set", "total.amount=30", *WHY, code=1)
    assert wrong == (
        f"shop: order {order_id} has total 10.00 GBP; the edited message has 0.30 GBP;"
        " pass --force if that is intended\n"
    )
    shop(stack, "dead-letters", "edit", again["id"], "--set", "total.amount=1000", *WHY)
    assert await until_ended(stack, order_id) == "paid"
    assert letters_of(stack, order_id) == []
    audited = json.loads(shop(stack, "audit", "list", "--order", order_id, "--json"))
    assert [(a["action"], a["who"], a["state"]) for a in audited] == [
        ("replay", "ada@desk", "done"),
        ("edit", "ada@desk", "done"),
    ]
    assert json.loads(shop(stack, "audit", "show", str(audited[1]["id"])))["why"] == "tested"
