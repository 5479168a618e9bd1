"""Outages, events that are delivered repeatedly or out of sequence, and unreadable messages."""

import json
from uuid import uuid4

import aio_pika

from scenarios.broker import copy_of
from scenarios.play import EXERCISES, Outcome, Play, scenario

CONSUMERS = ("cart", "notification", "order", "order.timeline", "product")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def product_down(play: Play) -> None:
    """Product is down: the checkout gets 503 and leaves nothing behind, and the same key works later."""
    await play.fill_cart(2)
    async with play.stopped("product"):
        refused = await play.shopper.try_check_out(key="product-was-down")
        play.claim("the checkout is rejected with 503", refused.status_code == 503)
        play.claim(
            "as problem details", refused.headers["content-type"].startswith("application/problem+json")
        )
        play.claim("with Retry-After", "retry-after" in refused.headers)
        play.claim("and no order is left", await play.shopper.orders() == [])
    await play.check_out(key="product-was-down")
    await play.until("paid")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def timeout_after_charging(play: Play) -> None:
    """The capture succeeds at the provider, but its response is lost: it is retried, and charged once."""
    await play.place_order("pm_card_sandbox_captureThenTimeout")
    await play.shopper.until(play.order_id, "paid", seconds=60)


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def every_event_twice(play: Play) -> None:
    """Every event of a paid checkout is delivered twice: every effect happens once."""
    tap = await play.broker.watch()
    tap.echo = True
    await play.buy()
    await play.until_published("order.paid")


@scenario(Outcome("cancelled", "shopper", cart_left=2))
async def every_event_in_reverse(play: Play) -> None:
    """Payment receives the cancellation first and the order last: nothing is charged."""
    tap = await play.broker.watch()
    async with play.stopped("payment"):
        order_id = await play.place_order()
        await play.until_published("stock.reserved")
        await play.shopper.cancel(order_id)
        await play.until_published("stock.released")
        await play.broker.reverse("payment", expected=3)
    await tap.republish_all_in_reverse()


@scenario(Outcome("cancelled", "shopper", captured=1000, refunded=1000, mails=("cancellation", "refund")))
async def paid_and_returned_in_reverse(play: Play) -> None:
    """Notification receives refund, cancellation and payment in reverse: no receipt is sent."""
    tap = await play.broker.watch()
    async with play.stopped("notification"):
        order_id = await play.buy()
        await play.until_published("order.paid")
        await play.shopper.cancel(order_id)
        await play.until_published("payment.refunded")
        await play.broker.reverse("notification", expected=3)
    await tap.republish_all_in_reverse()


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def poison_message(play: Play) -> None:
    """An unreadable `order.paid` is dead-lettered by every consumer, with its reason; other messages are
    handled."""
    poison = f"poison/{uuid4()}"
    nonsense = aio_pika.Message(b'{"order_id":', message_id=poison, headers={"cloudEvents:id": poison})
    await play.broker.publish(nonsense, "order.paid")
    await play.buy()
    for queue in CONSUMERS:
        dead = await play.broker.find(f"{queue}.dead", poison, take=True)
        play.claim(f"{queue}.dead has it with its reason", bool(dead.headers.get("error")))


@scenario(Outcome("pending", taken=2, cart_left=2), among=EXERCISES)
async def spoilt_message(play: Play) -> None:
    """The `order.created` for payment is corrupted: payment dead-letters it, and the order is stuck."""
    tap = await play.broker.watch()
    await play.fill_cart(2)
    async with play.stopped("payment"):
        created = f"order.created/{await play.check_out()}"
        await play.until_published("stock.reserved")
        await play.broker.find("payment", created, take=True)
        [copy] = [copy_of(message) for message in tap.messages if message.message_id == created]
        copy.body = _corrupted(copy.body)
        await play.broker.channel.default_exchange.publish(copy, "payment")
    await play.broker.find("payment.dead", created, take=False)


def _corrupted(body: bytes) -> bytes:
    order = json.loads(body)
    order["total"]["amount"] = "ten pounds"
    return json.dumps(order).encode()
