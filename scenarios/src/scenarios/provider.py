"""The provider takes the money and then says nothing."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def timeout_after_charging(play: Play) -> None:
    """The capture succeeds at the provider but its answer never comes: it is asked again, charged once."""
    await play.fill_cart(2)
    await play.check_out("pm_card_sandbox_captureThenTimeout")
    await play.shopper.until(play.order_id or "", "paid", seconds=60)
