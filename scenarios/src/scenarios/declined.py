"""The bank says no."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("cancelled", "payment_declined", cart_left=2))
async def declined_card(play: Play) -> None:
    """A guest's card is declined: the reservation is released, nothing is charged, and nobody is mailed."""
    await play.fill_cart(2)
    await play.check_out("pm_card_chargeDeclined")
    await play.until("cancelled")
