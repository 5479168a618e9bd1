"""Somebody publishes nonsense."""

from uuid import uuid4

import aio_pika

from scenarios.play import Outcome, Play, scenario

VICTIMS = ("cart", "notification", "order", "order.timeline", "product")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def poison_message(play: Play) -> None:
    """An unreadable `order.paid` is dead-lettered everywhere with its reason; its neighbours go on."""
    poison = f"poison/{uuid4()}"
    nonsense = aio_pika.Message(b'{"order_id":', message_id=poison, headers={"cloudEvents:id": poison})
    await play.broker.publish(nonsense, "order.paid")
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    for queue in VICTIMS:
        letter = await play.broker.remove(f"{queue}.dead", poison)
        play.claim(f"{queue}.dead has it with its reason", bool(letter.headers.get("error")))
