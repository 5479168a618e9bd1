"""A message is spoilt on its way, and an operator has to mend it."""

import json

from scenarios.broker import copy_of
from scenarios.play import Outcome, Play, exercise


@exercise(Outcome("pending", taken=2, cart_left=2))
async def spoilt_message(play: Play) -> None:
    """The `order.created` for payment is spoilt: it lies in payment's dead letters, the order stands."""
    tap = await play.broker.watch()
    await play.fill_cart(2)
    await play.shop.stop("payment")
    try:
        created = f"order.created/{await play.check_out()}"
        await play.until_said("stock.reserved")
        await play.broker.remove("payment", created)
        [copy] = [copy_of(heard) for heard in tap.heard if heard.message_id == created]
        copy.body = _spoilt(copy.body)
        await play.broker.channel.default_exchange.publish(copy, "payment")
    finally:
        await play.shop.start("payment")
    await play.broker.until_waits("payment.dead", created)


def _spoilt(body: bytes) -> bytes:
    order = json.loads(body)
    order["total"]["amount"] = "ten pounds"
    return json.dumps(order).encode()
