"""How a guest reaches an order later: by logging in, with a claim link, or by looking it up."""

import re
from uuid import uuid4

from scenarios.mails import mails, text_of
from scenarios.play import Outcome, Play, scenario
from scenarios.shopper import Shopper, must

BOUGHT = Outcome("paid", captured=1000, mails=("receipt",), taken=2)
_TOKEN = re.compile(r"https?://\S+#([\w-]{40,})")


@scenario(BOUGHT)
async def guest_logs_in(play: Play) -> None:
    """A guest orders, then logs in while the order is under way: order and cart move to the account."""
    guest = play.shopper
    order_id = await play.place_order()
    account = await guest.with_account()
    await account.until_listed(order_id)
    play.shopper = account
    await play.until("paid")
    play.claim("the guest has no orders any more", await guest.orders() == [])
    mine = await account.orders()
    play.claim("the account has the order, and no other", [one["order_id"] for one in mine] == [order_id])


@scenario(BOUGHT)
async def order_looked_up(play: Play) -> None:
    """A guest has lost the token: the order's number and e-mail address together show the order."""
    await play.buy()
    found = must(await play.shopper.look_up(play.number), 200)
    play.claim("the order is shown as paid", (found["status"], found["total"]["amount"]) == ("paid", 1000))
    async with play.http.stream("GET", found["events"]["href"]) as stream:
        events = (await stream.aread()).decode()
    play.claim("the event stream can be read", "order.paid" in events)
    play.shopper.email, email = f"{uuid4().hex}@example.com", play.shopper.email
    wrong = await play.shopper.look_up(play.number)
    play.shopper.email = email
    unknown = await play.shopper.look_up(uuid4().hex[:10])
    play.claim(
        "a wrong address and an unknown number get the same response", wrong.content == unknown.content
    )
    play.claim("which is 404", (wrong.status_code, unknown.status_code) == (404, 404))


@scenario(BOUGHT)
async def order_claimed(play: Play) -> None:
    """A guest's receipt has a claim link: only an account of the same address can claim the order with it."""
    order_id = await play.buy()
    await play.until_mailed("receipt")
    token = await claim_token(play, order_id)
    if token is None:
        play.claim("the link is not tried: this mail catcher lists mails and does not show them", True)
        return
    account = await Shopper.with_new_account(play.http, play.shopper.email)
    stranger = await Shopper.with_new_account(play.http, f"{uuid4().hex}@example.com")
    play.claim("an account of another address gets nothing", (await stranger.claim(token)).status_code == 403)
    play.claim("a tampered link is rejected", (await account.claim(f"{token[:-2]}AA")).status_code == 422)
    claimed = must(await account.claim(token), 200)
    play.claim("the account has the order", claimed["order_id"] == order_id)
    gone = await play.http.get(f"/v1/orders/{order_id}", headers=play.shopper.headers)
    play.claim("the guest has it no more", gone.status_code == 404)
    play.shopper = account


async def claim_token(play: Play, order_id: str) -> str | None:
    """The token of the link in the order's receipt; `None` if the mail catcher does not show mails."""
    [receipt] = await mails(play.http, play.shop.mailbox_url, order_id)
    if not receipt.id:
        return None
    found = _TOKEN.search(await text_of(play.http, play.shop.mailbox_url, receipt))
    assert found, "the receipt has no link"
    return found[1]
