"""What cart is told on top of what every service is."""

from typing import Annotated

from pydantic import Field

from chassis.runtime.retention import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`product_url` is where product answers. A read of it may take `product_timeout` each time and
    `product_patience` with its retries; then the cart is shown without prices. A product that was seen
    is not asked for again within `known_for`.

    A guest's cart is kept for `guest_cart_keep_days` after something was last put into it, an account's for
    `cart_keep_days`. That an order was taken out of a cart is known for `taken_out_keep_days` after it was
    placed: for as long as its `order.paid` may be published again. 0 is for ever.

    The body limit fits a cart of a thousand lines.
    """

    product_url: Annotated[str, Field(pattern=r"^https?://")]
    product_timeout: Seconds = 1
    product_patience: Seconds = 2
    known_for: Seconds = 30
    guest_cart_keep_days: KeepDays = 30
    cart_keep_days: KeepDays = 365
    taken_out_keep_days: KeepDays = 180
    consume_linger: Annotated[float, Field(ge=0)] = 0.25  # nobody waits for what was bought to go
    max_body_bytes: Annotated[int, Field(ge=1024)] = 128 * 1024
