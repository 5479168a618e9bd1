"""The ways in which a checkout can end: paid, out of stock, declined, cancelled, expired."""

from scenarios.play import STOCK, Outcome, Play, scenario
from scenarios.shopper import Shopper


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def paid(play: Play) -> None:
    """A guest buys two pieces by card: stock taken, money captured, receipt sent, cart emptied."""
    await play.buy()


@scenario(Outcome("cancelled", "out_of_stock", mails=("cancellation",), cart_left=6))
async def out_of_stock(play: Play) -> None:
    """Six pieces are ordered of five: the order is cancelled, its authorization voided."""
    await play.place_order(pieces=6)
    await play.until("cancelled")


@scenario(Outcome("cancelled", "payment_declined", cart_left=2))
async def declined_card(play: Play) -> None:
    """A guest's card is declined: the reservation is released, nothing is charged, no mail is sent."""
    await play.place_order("pm_card_chargeDeclined")
    await play.until("cancelled")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def shelf_emptied_by_declines(play: Play) -> None:
    """An order reserves all pieces until its card is declined: the next order waits for them and is paid."""
    other = await Shopper.guest(play.http)
    await other.fill_cart({play.sku: STOCK})
    await play.fill_cart(2)
    async with play.stopped("payment"):
        declined = await other.check_out("pm_card_chargeDeclined")
        await other.until_in_timeline(declined, "stock.reserved")
        await play.check_out()
    await other.until(declined, "cancelled")
    await play.until("paid")


@scenario(Outcome("cancelled", "shopper", mails=("cancellation",), cart_left=2))
async def cancelled_before_paying(play: Play) -> None:
    """The shopper cancels before the payment starts: nothing is charged, the stock is released."""
    async with play.stopped("payment"):
        order_id = await play.place_order()
        await play.until_published("stock.reserved")
        await play.shopper.cancel(order_id)


@scenario(
    Outcome("cancelled", "shopper", captured=1000, refunded=1000, mails=("cancellation", "receipt", "refund"))
)
async def cancelled_after_paying(play: Play) -> None:
    """The shopper cancels a paid order: all of the money is refunded, the stock restocked."""
    order_id = await play.buy()
    await play.until_mailed("receipt")
    await play.shopper.cancel(order_id)
    await play.until_published("payment.refunded")


@scenario(Outcome("cancelled", "expired", mails=("cancellation",), cart_left=2))
async def order_expires(play: Play) -> None:
    """Payment is down past the deadline: the order expires, and nothing is charged once payment is back."""
    async with play.stopped("payment"):
        await play.place_order(expires_in=1)
        await play.until("cancelled")
