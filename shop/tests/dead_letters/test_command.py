"""`shop dead-letters` on the whole shop: a message that cannot be read, mended, and the order is paid."""

import asyncio
import json
import os
import subprocess
from typing import Any

import aio_pika
import pytest

from scenarios.broker import copy_of
from scenarios.play import stage as scene
from shop.dead_letters.desk import look
from shop.playing import stage
from shop.stack import Stack
from shop.stack.programs import script

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


def spoilt(created: aio_pika.abc.AbstractIncomingMessage) -> aio_pika.Message:
    copy = copy_of(created)
    body = json.loads(copy.body)
    body["total"]["amount"] = "ten pounds"
    copy.body = json.dumps(body).encode()
    return copy


def letters_of(stack: Stack, order_id: str) -> list[dict[str, Any]]:
    found = json.loads(shop(stack, "dead-letters", "list", "--json"))["letters"]
    return [letter for letter in found if letter["order_id"] == order_id]


async def until_dead(stack: Stack, order_id: str, but: str | None = None) -> dict[str, Any]:
    """The order's only dead letter, once there is one (other than `but`)."""
    async with asyncio.timeout(60):
        while not [x for x in (await look(stack, "ada")).letters if x.order_id == order_id and x.id != but]:
            await asyncio.sleep(0.2)
    [letter] = letters_of(stack, order_id)
    return letter


async def test_a_spoilt_message_is_found_edited_and_its_order_is_paid(stack: Stack) -> None:
    theatre = stage(stack)
    async with scene(theatre) as play:
        tap = await play.broker.watch()
        await play.fill_cart(2)
        await theatre.stop("payment")
        try:
            order_id = await play.check_out()
            await play.until_said("stock.reserved")
            await play.broker.remove("payment", f"order.created/{order_id}")
            [created] = [m for m in tap.heard if m.message_id == f"order.created/{order_id}"]
            await play.broker.channel.default_exchange.publish(spoilt(created), "payment")
        finally:
            await theatre.start("payment")
        dead = await until_dead(stack, order_id)
        assert (dead["queue"], dead["failed_step"], dead["step"]) == (
            "payment",
            "decode",
            "authorize_payment",
        )
        assert dead["reason"].startswith("total.amount: ")

        unasked = shop(stack, "dead-letters", "replay", dead["id"], code=1)
        assert unasked == "shop: there is nobody to ask here: say --yes and --why TEXT\n"
        shop(stack, "dead-letters", "replay", dead["id"], *WHY)
        again = await until_dead(stack, order_id, but=dead["id"])
        assert again["died_before"] == 1
        story = shop(stack, "dead-letters", "show", again["id"])
        assert "died before: 1×, last replayed" in story
        assert f"order {order_id}: pending" in story

        refused = shop(stack, "dead-letters", "edit", again["id"], "--set", "total.amount=x", *WHY, code=1)
        assert refused.startswith("shop: payment could not read that as order.created: total.amount")
        shop(stack, "dead-letters", "edit", again["id"], "--set", "total.amount=1000", *WHY)
        await play.until("paid")
        assert letters_of(stack, order_id) == []
        audited = json.loads(shop(stack, "audit", "list", "--order", order_id, "--json"))
        assert [(a["action"], a["who"], a["state"]) for a in audited] == [
            ("replay", "ada@desk", "done"),
            ("edit", "ada@desk", "done"),
        ]
        assert json.loads(shop(stack, "audit", "show", str(audited[1]["id"])))["why"] == "tested"
