"""More is wanted than there is."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("cancelled", "out_of_stock", mails=("cancellation",), cart_left=6))
async def out_of_stock(play: Play) -> None:
    """Six pieces are ordered of five: the order is cancelled, the money that was held is let go."""
    await play.fill_cart(6)
    await play.check_out()
    await play.until("cancelled")
