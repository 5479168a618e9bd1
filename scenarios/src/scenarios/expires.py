"""Nobody answers in time."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("cancelled", "expired", mails=("cancellation",), cart_left=2))
async def order_expires(play: Play) -> None:
    """Payment is away past the deadline: the order expires, its money is let go once payment is back."""
    await play.shop.stop("payment")
    try:
        await play.fill_cart(2)
        await play.check_out(expires_in=1)
        await play.until("cancelled")
    finally:
        await play.shop.start("payment")
