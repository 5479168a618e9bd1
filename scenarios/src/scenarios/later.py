"""Later events at the provider: a refund in its dashboard, a failed refund, a dispute."""

from typing import Any

from scenarios.play import Outcome, Play, scenario
from scenarios.shopper import must


async def _at_the_provider(play: Play, what: str, **body: Any) -> dict[str, Any]:
    """Act as a bank, or as a user of the provider's dashboard."""
    return must(await play.http.post(f"{play.shop.sandbox_url}/_sandbox/{what}", json=body), 200)


async def _paid(play: Play) -> str:
    """Returns the provider's id of the payment."""
    await play.fill_cart(2)
    await play.check_out()
    await play.until("paid")
    await play.until_mailed("receipt")
    [payment] = await play.payments()
    return str(payment["id"])


@scenario(Outcome("paid", captured=1000, refunded=300, mails=("receipt", "refund"), taken=2))
async def refunded_in_the_dashboard(play: Play) -> None:
    """A part is refunded in the provider's dashboard: the order shows it, the shopper gets one mail."""
    payment = await _paid(play)
    await _at_the_provider(play, "refunds", payment_intent=payment, amount=300)
    await play.until_published("payment.refunded_in_part")
    order = await play.shopper.until_order(play.order_id or "", lambda one: one["refunded"]["amount"] == 300)
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
    await play.shopper.cancel(play.order_id or "")
    await play.until_published("payment.refunded")
    await _at_the_provider(play, "refunds", payment_intent=payment, status="failed")
    await play.until_published("payment.refund_failed")
    order = await play.shopper.until_order(play.order_id or "", lambda one: bool(one["failed_refunds"]))
    play.claim("a failed refund does not count as refunded", order["refunded"]["amount"] == 0)
    await _at_the_provider(play, "refunds", payment_intent=payment)
    await play.until_published("payment.refunded_in_part")
    await play.shopper.until_order(play.order_id or "", lambda one: one["refunded"]["amount"] == 1000)


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def disputed(play: Play) -> None:
    """The payment is disputed and the shop wins: the order shows both, no mail is sent."""
    payment = await _paid(play)
    dispute = await _at_the_provider(play, "disputes", payment_intent=payment)
    await play.until_published("payment.disputed")
    shown = (await play.shopper.until_order(play.order_id or "", lambda one: bool(one["disputes"])))[
        "disputes"
    ][0]
    play.claim("it shows when the response is due", shown["due_by"] is not None)
    await _at_the_provider(play, "disputes", dispute=dispute["id"], status="won")
    await play.shopper.until_order(play.order_id or "", lambda one: one["disputes"][0]["status"] == "won")
