"""Returns of shipped orders, and refunds by staff."""

from typing import Any
from uuid import uuid4

from scenarios.play import Outcome, Play, logged_in, scenario
from scenarios.shopper import must

MAILS = ("receipt", "refund")


async def _paid(play: Play) -> None:
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    await play.until_mailed("receipt")


async def _staff(play: Play, path: str, **more: Any) -> dict[str, Any]:
    headers = {**await logged_in(play.http, play.shop), "Idempotency-Key": uuid4().hex}
    url = f"/v1/orders/{play.order_id}/{path}"
    return must(await play.http.post(url, headers=headers, **more), 200, 201)


async def _request(play: Play, key: str, quantity: int = 1) -> Any:
    headers = {**play.shopper.headers, "Idempotency-Key": key}
    wanted = {"lines": [{"sku": play.sku, "quantity": quantity}]}
    return await play.http.post(f"/v1/orders/{play.order_id}/returns", headers=headers, json=wanted)


@scenario(Outcome("paid", captured=1000, refunded=500, mails=MAILS, taken=1))
async def one_piece_returned(play: Play) -> None:
    """One of two pieces is returned: it is restocked, its price refunded, the shopper mailed, once."""
    await _paid(play)
    await _staff(play, "fulfil")
    late = await play.http.post(f"/v1/orders/{play.order_id}/cancel", headers=play.shopper.headers)
    play.claim("a shipped order cannot be cancelled", late.status_code == 409)
    one = must(await _request(play, "first"), 201)
    for _ in range(2):
        await _staff(play, f"returns/{one['return_id']}/receive")
    await play.until_published("payment.refunded_in_part")
    await play.until_published("stock.returned")


@scenario(Outcome("paid", captured=1000, refunded=500, mails=MAILS, taken=1))
async def returned_twice(play: Play) -> None:
    """A return is requested twice, then for more than was bought: only one piece is returned."""
    await _paid(play)
    await _staff(play, "fulfil")
    first, again = must(await _request(play, "first"), 201), must(await _request(play, "first"), 201)
    play.claim("a repeat gets the same response", first == again)
    play.claim(
        "a key cannot be reused for another return", (await _request(play, "first", 2)).status_code == 422
    )
    play.claim(
        "no more can be returned than was bought", (await _request(play, "other", 2)).status_code == 409
    )
    await _staff(play, f"returns/{first['return_id']}/receive")
    await play.until_published("payment.refunded_in_part")


@scenario(Outcome("paid", captured=1000, refunded=150, mails=MAILS, taken=2))
async def refunded_by_staff(play: Play) -> None:
    """Staff refund a part of the money: the goods stay sold."""
    await _paid(play)
    await _staff(play, "refunds", json={"reason": "It came late", "amount": 150})
    await play.until_published("payment.refunded_in_part")
