"""Cart's own settings, beside those of every service."""

from typing import Annotated

from pydantic import Field

from chassis.runtime.jobs import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`product_url` is the base URL of the product service. A read from it may take `product_timeout`
    seconds, and `product_patience` with its retries; then the cart is shown without prices. A product that
    was read as active is not checked again for `known_for` seconds.

    A guest's cart is kept for `guest_cart_keep_days` after something was last put into it, an account's for
    `cart_keep_days`. What was answered to a product that was added is kept for `idempotency_keep_hours`, for
    repeats of the request. The record that an order's lines were removed from a cart is kept for
    `taken_out_keep_days` after the order was placed: for as long as its `order.paid` may be republished. 0
    keeps for ever.

    The body limit fits a cart of a thousand lines.
    """

    product_url: Annotated[str, Field(pattern=r"^https?://")]
    product_timeout: Seconds = 1
    product_patience: Seconds = 2
    known_for: Seconds = 30
    guest_cart_keep_days: KeepDays = 30
    cart_keep_days: KeepDays = 365
    taken_out_keep_days: KeepDays = 180
    idempotency_keep_hours: Annotated[int, Field(ge=24)] = 24
    purge_every: Seconds = 60
    consume_linger: Annotated[float, Field(ge=0)] = 0.25  # no shopper waits for bought lines to be removed
    max_body_bytes: Annotated[int, Field(ge=1024)] = 128 * 1024
