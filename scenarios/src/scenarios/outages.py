"""Outages during a checkout: the product service is down, the provider does not respond."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def product_down(play: Play) -> None:
    """Product is down: the checkout gets 503 and leaves nothing behind, and the same key works later."""
    await play.fill_cart(2)
    await play.shop.stop("product")
    try:
        refused = await play.shopper.try_check_out(key="product-was-down")
        play.claim("the checkout is rejected with 503", refused.status_code == 503)
        play.claim(
            "as problem details", refused.headers["content-type"].startswith("application/problem+json")
        )
        play.claim("with Retry-After", "retry-after" in refused.headers)
        play.claim("and no order is left", await play.shopper.orders() == [])
    finally:
        await play.shop.start("product")
    await play.check_out(key="product-was-down")
    await play.until("paid")


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def timeout_after_charging(play: Play) -> None:
    """The capture succeeds at the provider, but its response is lost: it is retried, and charged once."""
    await play.fill_cart(2)
    await play.check_out("pm_card_sandbox_captureThenTimeout")
    await play.shopper.until(play.order_id or "", "paid", seconds=60)
