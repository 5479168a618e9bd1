"""The bank says no."""

from scenarios.play import STOCK, Outcome, Play, scenario
from scenarios.shopper import Shopper


@scenario(Outcome("cancelled", "payment_declined", cart_left=2))
async def declined_card(play: Play) -> None:
    """A guest's card is declined: the reservation is released, nothing is charged, and nobody is mailed."""
    await play.fill_cart(2)
    await play.check_out("pm_card_chargeDeclined")
    await play.until("cancelled")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def shelf_emptied_by_declines(play: Play) -> None:
    """An order holds all pieces until its card is declined: the next order waits for them and is paid."""
    other = await Shopper.guest(play.http)
    await other.fill_cart({play.sku: STOCK})
    await play.fill_cart(2)
    await play.shop.stop("payment")
    try:
        declined = await other.check_out("pm_card_chargeDeclined")
        await other.until_in_timeline(declined, "stock.reserved")
        await play.check_out()
    finally:
        await play.shop.start("payment")
    await other.until(declined, "cancelled")
    await play.until("paid")
