"""What order is told besides what every service is."""

from typing import Annotated

from pydantic import Field

from chassis.sealed import SealKeys
from chassis.settings import Seconds, ServiceSettings
from order.domain import Limits

Url = Annotated[str, Field(pattern=r"^https?://")]
Count = Annotated[int, Field(ge=1)]


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: the first seals, the others still open.

    A saga that stands for `nudge_after` is nudged, then again after twice that time and so on, `nudge_limit`
    times at most.
    """

    product_url: Url
    cart_url: Url
    contact_key: SealKeys

    order_deadline: Seconds = 900
    sweep_every: Seconds = 2
    sweep_batch: Count = 100
    reconcile_every: Seconds = 60
    nudge_after: Seconds = 180
    nudge_limit: Annotated[int, Field(ge=0, le=20)] = 5

    max_lines: Count = 1000
    max_quantity: Count = 10_000
    max_total: Annotated[int, Field(ge=1, le=99_999_999)] = 99_999_999
    max_open_orders: Count = 20

    neighbour_timeout: Seconds = 2
    neighbour_total: Seconds = 5
    publish_linger: Annotated[float, Field(ge=0)] = 0.03  # checkouts commit one by one
    price_linger: Annotated[float, Field(ge=0)] = 0.005
    prices_per_call: Annotated[int, Field(ge=1, le=500)] = 500

    max_streams: Count = 1000
    stream_heartbeat: Seconds = 15
    stream_patience: Seconds = 2
    watch_every: Seconds = 0.2
    watch_gap: Seconds = 0.1

    idempotency_keep_hours: Annotated[int, Field(ge=24)] = 24
    purge_every: Seconds = 60

    @property
    def limits(self) -> Limits:
        """The largest order that is taken."""
        return Limits(self.max_lines, self.max_quantity, self.max_total)
