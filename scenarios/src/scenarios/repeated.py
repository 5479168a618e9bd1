"""The broker delivers events repeatedly, and out of sequence."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def every_event_twice(play: Play) -> None:
    """Every event of a paid checkout is delivered twice: every effect happens once."""
    tap = await play.broker.watch()
    tap.echo = True
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    await play.until_published("order.paid")


@scenario(Outcome("cancelled", "shopper", cart_left=2))
async def every_event_in_reverse(play: Play) -> None:
    """Payment receives the cancellation first and the order last: nothing is charged."""
    tap = await play.broker.watch()
    await play.shop.stop("payment")
    try:
        await play.fill_cart(2)
        order_id = await play.check_out()
        await play.until_published("stock.reserved")
        await play.shopper.cancel(order_id)
        await play.until_published("stock.released")
        await play.broker.reverse("payment", expected=3)
    finally:
        await play.shop.start("payment")
    await tap.republish_all_in_reverse()


@scenario(Outcome("cancelled", "shopper", captured=1000, refunded=1000, mails=("cancellation", "refund")))
async def paid_and_returned_in_reverse(play: Play) -> None:
    """Notification receives refund, cancellation and payment in reverse: no receipt is sent."""
    tap = await play.broker.watch()
    await play.shop.stop("notification")
    try:
        await play.fill_cart(2)
        order_id = await play.check_out()
        await play.until("paid")
        await play.until_published("order.paid")
        await play.shopper.cancel(order_id)
        await play.until_published("payment.refunded")
        await play.broker.reverse("notification", expected=3)
    finally:
        await play.shop.start("notification")
    await tap.republish_all_in_reverse()
