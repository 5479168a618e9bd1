"""Unreadable messages: one that nobody can handle, and one that an operator has to edit."""

import json
from uuid import uuid4

import aio_pika

from scenarios.broker import copy_of
from scenarios.play import Outcome, Play, exercise, scenario

CONSUMERS = ("cart", "notification", "order", "order.timeline", "product")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def poison_message(play: Play) -> None:
    """An unreadable `order.paid` is dead-lettered by every consumer, with its reason; other messages are
    handled."""
    poison = f"poison/{uuid4()}"
    nonsense = aio_pika.Message(b'{"order_id":', message_id=poison, headers={"cloudEvents:id": poison})
    await play.broker.publish(nonsense, "order.paid")
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    for queue in CONSUMERS:
        dead = await play.broker.remove(f"{queue}.dead", poison)
        play.claim(f"{queue}.dead has it with its reason", bool(dead.headers.get("error")))


@exercise(Outcome("pending", taken=2, cart_left=2))
async def spoilt_message(play: Play) -> None:
    """The `order.created` for payment is corrupted: payment dead-letters it, and the order is stuck."""
    tap = await play.broker.watch()
    await play.fill_cart(2)
    await play.shop.stop("payment")
    try:
        created = f"order.created/{await play.check_out()}"
        await play.until_published("stock.reserved")
        await play.broker.remove("payment", created)
        [copy] = [copy_of(message) for message in tap.messages if message.message_id == created]
        copy.body = _corrupted(copy.body)
        await play.broker.channel.default_exchange.publish(copy, "payment")
    finally:
        await play.shop.start("payment")
    await play.broker.wait_for("payment.dead", created)


def _corrupted(body: bytes) -> bytes:
    order = json.loads(body)
    order["total"]["amount"] = "ten pounds"
    return json.dumps(order).encode()
