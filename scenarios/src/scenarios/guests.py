"""What a guest's order is worth afterwards: it is taken along, claimed, or looked up."""

import re
from uuid import uuid4

from scenarios.mails import mails, text_of
from scenarios.play import Outcome, Play, scenario
from scenarios.shopper import Shopper, must

BOUGHT = Outcome("paid", captured=1000, mails=("receipt",), taken=2)
_TOKEN = re.compile(r"https?://\S+#([\w-]{40,})")


@scenario(BOUGHT)
async def guest_logs_in(play: Play) -> None:
    """A guest orders, then logs in while the order is under way: order and cart are the account's."""
    guest = play.shopper
    await play.fill_cart(2)
    order_id = await play.check_out()
    account = await guest.with_account()
    await account.until_listed(order_id)
    play.shopper = account
    await play.until("paid")
    play.claim("the guest has no orders any more", await guest.orders() == [])
    mine = await account.orders()
    play.claim("the account has the order, and no other", [one["order_id"] for one in mine] == [order_id])


@scenario(BOUGHT)
async def order_looked_up(play: Play) -> None:
    """A guest has lost the token: number and e-mail address show the order, and nothing else does."""
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    assert play.number is not None
    found = must(await play.shopper.look_up(play.number), 200)
    play.claim("they show that it is paid", (found["status"], found["total"]["amount"]) == ("paid", 1000))
    async with play.http.stream("GET", found["events"]["href"]) as stream:
        said = (await stream.aread()).decode()
    play.claim("they lead to its event stream", "order.paid" in said)
    play.shopper.email, email = f"{uuid4().hex}@example.com", play.shopper.email
    wrong = await play.shopper.look_up(play.number)
    play.shopper.email = email
    unknown = await play.shopper.look_up(uuid4().hex[:10])
    play.claim("a wrong address and an unknown number are told alike", wrong.content == unknown.content)
    play.claim("and told nothing", (wrong.status_code, unknown.status_code) == (404, 404))


@scenario(BOUGHT)
async def order_claimed(play: Play) -> None:
    """A guest's receipt has a link: the account of that address claims the order with it, and nobody else."""
    await play.fill_cart(2)
    order_id = await play.check_out()
    await play.until("paid")
    await play.until_mailed("receipt")
    token = await claim_token(play, order_id)
    if token is None:
        play.claim("the link is not tried: this mail catcher lists mails and does not show them", True)
        return
    account = await Shopper.with_new_account(play.http, play.shopper.email)
    stranger = await Shopper.with_new_account(play.http, f"{uuid4().hex}@example.com")
    play.claim("an account of another address gets nothing", (await stranger.claim(token)).status_code == 403)
    play.claim("a tampered link is none", (await account.claim(f"{token[:-2]}AA")).status_code == 422)
    claimed = must(await account.claim(token), 200)
    play.claim("the order is the account's", claimed["order_id"] == order_id)
    gone = await play.http.get(f"/v1/orders/{order_id}", headers=play.shopper.headers)
    play.claim("and not the guest's any more", gone.status_code == 404)
    play.shopper = account


async def claim_token(play: Play, order_id: str) -> str | None:
    """Of the link in the order's receipt; `None` where mails cannot be read."""
    [receipt] = await mails(play.http, play.shop.mailbox_url, order_id)
    if not receipt.id:
        return None
    found = _TOKEN.search(await text_of(play.http, play.shop.mailbox_url, receipt))
    assert found, "the receipt has no link"
    return found[1]
