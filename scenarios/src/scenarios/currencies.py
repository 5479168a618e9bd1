"""Not every currency has hundredths, and the provider does not count each as the shop does."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=100_000, mails=("receipt",), taken=2), currency="ISK")
async def paid_in_kronur(play: Play) -> None:
    """Two pieces at 500 ISK, which has no decimals: the provider counts hundredths, and takes 100,000."""
    await _paid(play, total=1000, currency="ISK")


@scenario(Outcome("paid", captured=10_240, mails=("receipt",), taken=2), price=5120, currency="KWD")
async def paid_in_dinars(play: Play) -> None:
    """Two pieces at 5.120 KWD, which has three decimals: the provider takes 10,240 thousandths."""
    await _paid(play, total=10_240, currency="KWD")


async def _paid(play: Play, *, total: int, currency: str) -> None:
    await play.fill_cart(2)
    order_id = await play.check_out()
    await play.until("paid")
    order = await play.shopper.order(order_id)
    play.claim(
        "the order's total is what was priced", order["total"] == {"amount": total, "currency": currency}
    )
    [payment] = await play.payments()
    play.claim("it was charged in that currency", payment["currency"] == currency.lower())
