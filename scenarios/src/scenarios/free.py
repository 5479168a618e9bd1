"""Nothing to pay: the saga is the same, and the provider never hears of it."""

from scenarios.play import Outcome, Play, scenario

_UNHEARD = "the provider has never heard of the order"


@scenario(Outcome("paid", mails=("receipt",), taken=2), price=0)
async def free(play: Play) -> None:
    """A guest orders two pieces that cost nothing, without a card: paid without the provider."""
    await play.fill_cart(2)
    await play.check_out(None)
    await play.until("paid")
    play.claim(_UNHEARD, not await play.payments())


@scenario(Outcome("cancelled", "shopper", mails=("cancellation", "receipt")), price=0)
async def free_and_cancelled(play: Play) -> None:
    """The shopper returns a free order: the stock is back, and no mail speaks of money on its way."""
    await play.fill_cart(2)
    order_id = await play.check_out(None)
    await play.until("paid")
    await play.until_mailed("receipt")
    await play.shopper.cancel(order_id)
    await play.until_said("payment.refunded")
    play.claim(_UNHEARD, not await play.payments())
