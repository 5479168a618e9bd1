"""The happy way."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def paid(play: Play) -> None:
    """A guest buys two pieces by card: stock taken, money captured, receipt sent, cart emptied."""
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
