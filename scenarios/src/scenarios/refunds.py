"""Money that goes back: returns of shipped orders, refunds by staff or at the provider, disputes."""

from typing import Any
from uuid import uuid4

from scenarios.play import Outcome, Play, logged_in, scenario
from scenarios.shopper import must

MAILS = ("receipt", "refund")


async def _paid(play: Play) -> str:
    """Place an order and wait for its receipt. Returns the provider's id of the payment."""
    await play.buy()
    await play.until_mailed("receipt")
    [payment] = await play.payments()
    return str(payment["id"])


async def _staff(play: Play, path: str, **more: Any) -> dict[str, Any]:
    headers = {**await logged_in(play.http, play.shop), "Idempotency-Key": uuid4().hex}
    url = f"/v1/orders/{play.order_id}/{path}"
    return must(await play.http.post(url, headers=headers, **more), 200, 201)


async def _request(play: Play, key: str, quantity: int = 1) -> Any:
    headers = {**play.shopper.headers, "Idempotency-Key": key}
    wanted = {"lines": [{"sku": play.sku, "quantity": quantity}]}
    return await play.http.post(f"/v1/orders/{play.order_id}/returns", headers=headers, json=wanted)


async def _at_the_provider(play: Play, what: str, **body: Any) -> dict[str, Any]:
    """Act as a bank, or as a user of the provider's dashboard."""
    return must(await play.http.post(f"{play.shop.sandbox_url}/_sandbox/{what}", json=body), 200)


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


@scenario(Outcome("paid", captured=1000, refunded=300, mails=("receipt", "refund"), taken=2))
async def refunded_in_the_dashboard(play: Play) -> None:
    """A part is refunded in the provider's dashboard: the order shows it, the shopper gets one mail."""
    payment = await _paid(play)
    await _at_the_provider(play, "refunds", payment_intent=payment, amount=300)
    await play.until_published("payment.refunded_in_part")
    order = await play.shopper.until_order(play.order_id, lambda one: one["refunded"]["amount"] == 300)
    play.claim("the order shows that it was made at the provider", order["returns"][0]["by"] == "provider")


@scenario(
    Outcome(
        "cancelled",
        "shopper",
        captured=1000,
        refunded=1000,
        mails=("cancellation", "receipt", "refund", "refund", "refund"),
    )
)
async def refund_fails_later(play: Play) -> None:
    """A refund fails later: the shopper is mailed, the order shows it, and it is made again by hand."""
    payment = await _paid(play)
    await play.shopper.cancel(play.order_id)
    await play.until_published("payment.refunded")
    await _at_the_provider(play, "refunds", payment_intent=payment, status="failed")
    await play.until_published("payment.refund_failed")
    order = await play.shopper.until_order(play.order_id, lambda one: bool(one["failed_refunds"]))
    play.claim("a failed refund does not count as refunded", order["refunded"]["amount"] == 0)
    await _at_the_provider(play, "refunds", payment_intent=payment)
    await play.until_published("payment.refunded_in_part")
    await play.shopper.until_order(play.order_id, lambda one: one["refunded"]["amount"] == 1000)


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def disputed(play: Play) -> None:
    """The payment is disputed and the shop wins: the order shows both, no mail is sent."""
    payment = await _paid(play)
    dispute = await _at_the_provider(play, "disputes", payment_intent=payment)
    await play.until_published("payment.disputed")
    shown = (await play.shopper.until_order(play.order_id, lambda one: bool(one["disputes"])))["disputes"][0]
    play.claim("it shows when the response is due", shown["due_by"] is not None)
    await _at_the_provider(play, "disputes", dispute=dispute["id"], status="won")
    await play.shopper.until_order(play.order_id, lambda one: one["disputes"][0]["status"] == "won")
