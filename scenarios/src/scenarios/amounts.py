"""Free orders, and currencies whose minor units are not hundredths or differ at the provider."""

from scenarios.play import Outcome, Play, scenario

_NO_PAYMENT = "the provider has no payment for the order"


@scenario(Outcome("paid", mails=("receipt",), taken=2), price=0)
async def free(play: Play) -> None:
    """A guest orders two pieces that cost nothing, without a card: paid without the provider."""
    await play.buy(None)
    play.claim(_NO_PAYMENT, not await play.payments())


@scenario(Outcome("cancelled", "shopper", mails=("cancellation", "receipt")), price=0)
async def free_and_cancelled(play: Play) -> None:
    """The shopper cancels a free order: the stock is restocked, and no mail mentions a refund."""
    order_id = await play.buy(None)
    await play.until_mailed("receipt")
    await play.shopper.cancel(order_id)
    await play.until_published("payment.refunded")
    play.claim(_NO_PAYMENT, not await play.payments())


@scenario(Outcome("paid", captured=100_000, mails=("receipt",), taken=2), currency="ISK")
async def paid_in_kronur(play: Play) -> None:
    """Two pieces at 500 ISK, which has no decimals: the provider uses hundredths, and charges 100,000."""
    await _paid(play, total=1000, currency="ISK")


@scenario(Outcome("paid", captured=10_240, mails=("receipt",), taken=2), price=5120, currency="KWD")
async def paid_in_dinars(play: Play) -> None:
    """Two pieces at 5.120 KWD, which has three decimals: the provider charges 10,240 thousandths."""
    await _paid(play, total=10_240, currency="KWD")


async def _paid(play: Play, *, total: int, currency: str) -> None:
    order_id = await play.buy()
    order = await play.shopper.order(order_id)
    play.claim(
        "the order's total is what was priced", order["total"] == {"amount": total, "currency": currency}
    )
    [payment] = await play.payments()
    play.claim("it was charged in that currency", payment["currency"] == currency.lower())
