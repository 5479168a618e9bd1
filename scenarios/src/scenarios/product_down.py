"""A neighbour that the checkout has to ask is away."""

from scenarios.play import Outcome, Play, scenario


@scenario(Outcome("paid", captured=1000, mails=("receipt",), taken=2))
async def product_down(play: Play) -> None:
    """Without prices there is no checkout: a clear 503, nothing half-done, and the same key works later."""
    await play.fill_cart(2)
    await play.shop.stop("product")
    try:
        refused = await play.shopper.try_check_out(key="product-was-down")
        play.claim("the checkout is refused with 503", refused.status_code == 503)
        play.claim(
            "as problem details", refused.headers["content-type"].startswith("application/problem+json")
        )
        play.claim("saying when to come back", "retry-after" in refused.headers)
        play.claim("and no order is left", await play.shopper.orders() == [])
    finally:
        await play.shop.start("product")
    await play.check_out(key="product-was-down")
    await play.until("paid")
