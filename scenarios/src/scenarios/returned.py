"""What goes back once an order has left: goods, and money that staff give."""

from typing import Any
from uuid import uuid4

from scenarios.play import Outcome, Play, logged_in, scenario
from scenarios.shopper import must

BACK = ("receipt", "refund")


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


@scenario(Outcome("paid", captured=1000, refunded=500, mails=BACK, taken=1))
async def one_piece_returned(play: Play) -> None:
    """One of two pieces comes back: it is on the shelf again, its price refunded, the shopper told, once."""
    await _paid(play)
    await _staff(play, "fulfil")
    late = await play.http.post(f"/v1/orders/{play.order_id}/cancel", headers=play.shopper.headers)
    play.claim("an order that has left is not cancelled", late.status_code == 409)
    one = must(await _request(play, "first"), 201)
    for _ in range(2):
        await _staff(play, f"returns/{one['return_id']}/receive")
    await play.until_said("payment.refunded_in_part")
    await play.until_said("stock.returned")


@scenario(Outcome("paid", captured=1000, refunded=500, mails=BACK, taken=1))
async def returned_twice(play: Play) -> None:
    """The same return is sent twice, then more than was bought: one piece comes back, nothing else."""
    await _paid(play)
    await _staff(play, "fulfil")
    first, again = must(await _request(play, "first"), 201), must(await _request(play, "first"), 201)
    play.claim("a repeat is answered as the first one was", first == again)
    play.claim("a key stands for one return", (await _request(play, "first", 2)).status_code == 422)
    play.claim("no more comes back than was bought", (await _request(play, "other", 2)).status_code == 409)
    await _staff(play, f"returns/{first['return_id']}/receive")
    await play.until_said("payment.refunded_in_part")


@scenario(Outcome("paid", captured=1000, refunded=150, mails=BACK, taken=2))
async def refunded_by_staff(play: Play) -> None:
    """Staff give some of the money back, for a reason: the goods stay sold."""
    await _paid(play)
    await _staff(play, "refunds", json={"reason": "It came late", "amount": 150})
    await play.until_said("payment.refunded_in_part")
