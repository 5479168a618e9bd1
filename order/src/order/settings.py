"""What order is told besides what every service is."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from chassis.http.origin import TrustedProxies
from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.retention import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings
from order.action import ReturnOrigins
from order.placing import Caps
from order.pricing import Limits

Url = Annotated[str, Field(pattern=r"^https?://")]
# A refund may be refused for days, and may fail as late as 30 days after it was made.
AFTER_RETURN_DAYS = 60

Count = Annotated[int, Field(ge=1)]


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: the first seals, the others still open. So may
    `action_key`, which opens the address of the page at which a shopper confirms with her bank; from there
    she may come back to `return_origins`.

    A paid order may be cancelled, that is returned, for `return_days`. An order is kept for
    `order_keep_days` after it was placed, its timeline for `timeline_keep_days`; both at least
    `AFTER_RETURN_DAYS` longer than it may be returned, and 0 is for ever.

    A shopper may order `lines_per_minute` lines within a minute, a guest `guest_lines_per_minute`. Orders of
    more than `large_order` lines share `large_lines_per_second` in each process, and guests' such orders
    `guest_large_lines_per_second`.

    A guest may have `guest_open_pieces` of one product in orders that are not paid. Within
    `decline_window_seconds` a shopper's payments may be declined `declines_per_shopper` times, and those of
    one network `declines_per_network` times.

    A ticket opens an event stream for `ticket_seconds`. Lookups by number and address may fail so often in a
    window; the stream that one leads to ends after `lookup_stream_seconds`.

    A saga that stands for `nudge_after` is nudged, then again after twice that time and so on, `nudge_limit`
    times at most, and not `nudge_days` after its order was placed or cancelled. Until then every service
    keeps what its steps know of the order: what is said again finds it done.
    """

    product_url: Url
    cart_url: Url
    contact_key: EncryptionKeys
    action_key: EncryptionKeys
    return_origins: ReturnOrigins = ""
    trusted_proxies: TrustedProxies = ""

    order_deadline: Seconds = 900
    sweep_every: Seconds = 2
    sweep_batch: Count = 100
    reconcile_every: Seconds = 60
    nudge_after: Seconds = 180
    nudge_limit: Annotated[int, Field(ge=0, le=20)] = 5
    nudge_days: Annotated[int, Field(ge=1)] = 90

    max_lines: Count = 1000
    max_quantity: Count = 10_000
    max_total: Annotated[int, Field(ge=1, le=99_999_999)] = 99_999_999
    max_open_orders: Count = 20
    guest_open_pieces: Count = 200
    declines_per_shopper: Count = 10
    declines_per_network: Count = 300
    decline_window_seconds: Seconds = 10 * 60
    lines_per_minute: Count = 3000
    guest_lines_per_minute: Count = 1000
    large_order: Count = 50
    large_lines_per_second: Count = 300
    guest_large_lines_per_second: Count = 150

    neighbour_timeout: Seconds = 2
    neighbour_total: Seconds = 5
    publish_linger: Annotated[float, Field(ge=0)] = 0.03  # checkouts commit one by one
    price_linger: Annotated[float, Field(ge=0)] = 0.005
    prices_per_call: Annotated[int, Field(ge=1, le=500)] = 500
    prices_shared: Count = 50

    max_streams: Count = 1000
    max_streams_per_caller: Count = 20
    max_streams_per_order: Count = 5
    stream_heartbeat: Seconds = 15
    stream_patience: Seconds = 2
    ticket_seconds: Annotated[float, Field(ge=1, le=300)] = 30

    lookups_per_number: Count = 10
    lookups_per_network: Count = 60
    lookup_window_seconds: Seconds = 15 * 60
    lookup_stream_seconds: Seconds = 15 * 60
    watch_every: Seconds = 0.2
    watch_gap: Seconds = 0.1

    idempotency_keep_hours: Annotated[int, Field(ge=24)] = 24
    purge_every: Seconds = 60

    return_days: Annotated[int, Field(ge=0, le=3650)] = 30
    order_keep_days: KeepDays = 3650
    timeline_keep_days: KeepDays = 180

    @model_validator(mode="after")
    def _any_order_can_be_placed(self) -> Self:
        if min(self.lines_per_minute, self.guest_lines_per_minute) < self.max_lines:
            raise ValueError("LINES_PER_MINUTE and GUEST_LINES_PER_MINUTE must not be below MAX_LINES")
        return self

    @model_validator(mode="after")
    def _kept_for_as_long_as_needed(self) -> Self:
        least = self.return_days + AFTER_RETURN_DAYS
        for name in ("order_keep_days", "timeline_keep_days"):
            if 0 < getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} at least (return_days + {AFTER_RETURN_DAYS}), or 0")
        return self

    @property
    def limits(self) -> Limits:
        """The largest order that is taken."""
        return Limits(self.max_lines, self.max_quantity, self.max_total)

    @property
    def caps(self) -> Caps:
        """How much stock may be held back."""
        return Caps(
            self.max_open_orders,
            self.guest_open_pieces,
            self.declines_per_shopper,
            self.declines_per_network,
            self.decline_window,
        )

    @property
    def decline_window(self) -> timedelta:
        return timedelta(seconds=self.decline_window_seconds)
