"""The shopper has second thoughts."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("cancelled", "shopper", mails=("cancellation",), cart_left=2))
async def cancelled_before_paying(play: Play) -> None:
    """The shopper cancels while payment has not begun: nothing is charged, the stock is back."""
    await play.shop.stop("payment")
    try:
        await play.fill_cart(2)
        order_id = await play.check_out()
        await play.until_said("stock.reserved")
        await play.shopper.cancel(order_id)
    finally:
        await play.shop.start("payment")


@scenario(
    Outcome("cancelled", "shopper", captured=1000, refunded=1000, mails=("cancellation", "receipt", "refund"))
)
async def cancelled_after_paying(play: Play) -> None:
    """The shopper returns a paid order: all of the money and the stock go back."""
    await play.fill_cart(2)
    order_id = await play.check_out()
    await play.until("paid")
    await play.until_mailed("receipt")
    await play.shopper.cancel(order_id)
    await play.until_said("payment.refunded")
