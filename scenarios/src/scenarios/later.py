"""What the provider says later: somebody gives money back there, a refund fails, a bank wants the money."""

from typing import Any

from scenarios.play import Outcome, Play, scenario
from scenarios.shopper import must


async def _at_the_provider(play: Play, what: str, **asked: Any) -> dict[str, Any]:
    """What a bank does, or a person in the provider's dashboard."""
    return must(await play.http.post(f"{play.shop.sandbox_url}/_sandbox/{what}", json=asked), 200)


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
    """Somebody gives a part of the money back in the provider's dashboard: the order shows it, the shopper is
    told, once."""
    payment = await _paid(play)
    await _at_the_provider(play, "refunds", payment_intent=payment, amount=300)
    await play.until_said("payment.refunded_in_part")
    order = await play.shopper.once(play.order_id or "", lambda one: one["refunded"]["amount"] == 300)
    play.claim("it is known to be the provider's doing", order["returns"][0]["by"] == "provider")


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
    """A refund that was made comes back: the shopper is told, the order shows it, and it is made by hand."""
    payment = await _paid(play)
    await play.shopper.cancel(play.order_id or "")
    await play.until_said("payment.refunded")
    await _at_the_provider(play, "refunds", payment_intent=payment, status="failed")
    await play.until_said("payment.refund_failed")
    order = await play.shopper.once(play.order_id or "", lambda one: bool(one["failed_refunds"]))
    play.claim("what came back is not the shopper's", order["refunded"]["amount"] == 0)
    await _at_the_provider(play, "refunds", payment_intent=payment)
    await play.until_said("payment.refunded_in_part")
    await play.shopper.once(play.order_id or "", lambda one: one["refunded"]["amount"] == 1000)


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def disputed(play: Play) -> None:
    """The shopper's bank wants the money, and the shop is right: the order shows both, nobody is mailed."""
    payment = await _paid(play)
    dispute = await _at_the_provider(play, "disputes", payment_intent=payment)
    await play.until_said("payment.disputed")
    shown = (await play.shopper.once(play.order_id or "", lambda one: bool(one["disputes"])))["disputes"][0]
    play.claim("with until when to answer", shown["due_by"] is not None)
    await _at_the_provider(play, "disputes", dispute=dispute["id"], status="won")
    await play.shopper.once(play.order_id or "", lambda one: one["disputes"][0]["status"] == "won")
