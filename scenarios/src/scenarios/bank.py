"""The shopper's bank wants her to confirm the payment at its page: she does, refuses, or never comes."""

from urllib.parse import parse_qs, urlsplit

from scenarios.play import Outcome, Play, scenario

CARD = "pm_card_authenticationRequired"
RETURN_URL = "http://localhost:3000/orders/return"
SHORT_OF_TIME = 8


async def until_asked(play: Play, **more: int) -> str:
    """Check out with a card whose bank asks, and wait for its page."""
    await play.fill_cart(2)
    order_id = await play.check_out(CARD, return_url=RETURN_URL, **more)
    asked = await play.shopper.once(order_id, lambda order: order["action"] or order["status"] != "pending")
    [payment] = await play.payments()
    play.claim("nothing is held before she has confirmed", payment["authorized"] == 0)
    return str(asked["action"]["url"])


async def answer(play: Play, page: str, choice: str) -> str:
    """Press a button of the page; whether it `succeeded` or `failed`, as the shop's page is told."""
    back = await play.at_the_bank(page, choice)
    play.claim("she is sent back to where she came from", back.startswith(f"{RETURN_URL}?"))
    return parse_qs(urlsplit(back).query)["redirect_status"][0]


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def bank_confirms(play: Play) -> None:
    """The shopper's bank asks, and she confirms: the money is held, taken, and her receipt sent."""
    page = await until_asked(play)
    play.claim("she has confirmed", await answer(play, page, "complete") == "succeeded")
    await play.until("paid")
    order = await play.shopper.order(play.order_id or "")
    play.claim("and has nothing left to do", order["action"] is None)


@scenario(Outcome("cancelled", "payment_declined", cart_left=2))
async def bank_refuses(play: Play) -> None:
    """The shopper refuses at her bank's page: the payment is declined, the stock is back."""
    page = await until_asked(play)
    play.claim("she has refused", await answer(play, page, "fail") == "failed")
    await play.until("cancelled")


@scenario(Outcome("cancelled", "expired", cart_left=2))
async def nobody_confirms(play: Play) -> None:
    """The shopper never comes to her bank's page: the order expires, nothing is charged."""
    page = await until_asked(play, expires_in=SHORT_OF_TIME)
    await play.until("cancelled")
    await play.until_given_up()
    play.claim("whoever comes now is too late", await answer(play, page, "complete") == "failed")


@scenario(Outcome("cancelled", "shopper", cart_left=2))
async def cancelled_at_the_bank(play: Play) -> None:
    """The shopper cancels while her bank asks: nothing was held, so nothing goes back, nobody is mailed."""
    page = await until_asked(play)
    await play.shopper.cancel(play.order_id or "")
    await play.until_given_up()
    play.claim("she can no longer confirm", await answer(play, page, "complete") == "failed")
