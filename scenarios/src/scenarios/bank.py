"""The bank asks for a confirmation on its page (3-D Secure): she confirms, refuses, or does nothing."""

from urllib.parse import parse_qs, urlsplit

from scenarios.play import Outcome, Play, scenario
from scenarios.shopper import press_bank_button

CARD = "pm_card_authenticationRequired"
RETURN_URL = "http://localhost:3000/orders/return"
SHORT_DEADLINE = 8


async def until_action_required(play: Play, **more: int) -> str:
    """Check out with a card whose bank asks for a confirmation, and wait for its page."""
    order_id = await play.place_order(CARD, return_url=RETURN_URL, **more)
    order = await play.shopper.until_order(order_id, lambda one: one["action"] or one["status"] != "pending")
    [payment] = await play.payments()
    play.claim("nothing is held before she has confirmed", payment["authorized"] == 0)
    return str(order["action"]["url"])


async def choose(play: Play, page: str, choice: str) -> str:
    """Press a button of the page. Returns the `redirect_status`, `succeeded` or `failed`."""
    location = await press_bank_button(play.http, play.shop.sandbox_url, page, choice)
    play.claim("she is redirected to the return URL", location.startswith(f"{RETURN_URL}?"))
    return parse_qs(urlsplit(location).query)["redirect_status"][0]


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def bank_confirms(play: Play) -> None:
    """The shopper confirms with her bank: the money is authorized and captured, the receipt sent."""
    page = await until_action_required(play)
    play.claim("she has confirmed", await choose(play, page, "complete") == "succeeded")
    await play.until("paid")
    order = await play.shopper.order(play.order_id)
    play.claim("and has nothing left to do", order["action"] is None)


@scenario(Outcome("cancelled", "payment_declined", cart_left=2))
async def bank_refuses(play: Play) -> None:
    """The shopper refuses on her bank's page: the payment is declined, the stock released."""
    page = await until_action_required(play)
    play.claim("she has refused", await choose(play, page, "fail") == "failed")
    await play.until("cancelled")


@scenario(Outcome("cancelled", "expired", cart_left=2))
async def nobody_confirms(play: Play) -> None:
    """The shopper does not open her bank's page: the order expires, nothing is charged."""
    page = await until_action_required(play, expires_in=SHORT_DEADLINE)
    await play.until("cancelled")
    await play.until_payments_cancelled()
    play.claim("a late confirmation fails", await choose(play, page, "complete") == "failed")


@scenario(Outcome("cancelled", "shopper", cart_left=2))
async def cancelled_at_the_bank(play: Play) -> None:
    """The shopper cancels before she confirms: nothing was authorized, nothing is refunded, no mail is
    sent."""
    page = await until_action_required(play)
    await play.shopper.cancel(play.order_id)
    await play.until_payments_cancelled()
    play.claim("she can no longer confirm", await choose(play, page, "complete") == "failed")
