"""Order's settings, besides those of every service."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from chassis.http.origin import Proxies, TrustedProxies
from chassis.messaging.encryption import EncryptionKeys
from chassis.runtime.jobs import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings
from order.bank_page import ReturnOrigins
from order.budget import LineBudget, Rate
from order.pricing import Limits

Url = Annotated[str, Field(pattern=r"^https?://")]
# A refund may be retried for days, and may fail up to 30 days after it was made.
AFTER_RETURN_DAYS = 60

Count = Annotated[int, Field(ge=1)]


class Settings(ServiceSettings):
    """`contact_key` may list several keys, comma-separated: the first encrypts, all of them decrypt. So may
    `action_key`, for the URL of the page where a shopper confirms with her bank; that page may send her back
    to `return_origins`.

    A paid order can be cancelled, and a fulfilled one returned, for `return_days`. An order is kept for
    `order_keep_days` after it was placed, its timeline for `timeline_keep_days`; both must be at least
    `AFTER_RETURN_DAYS` longer than `return_days`, and 0 keeps for ever.

    A shopper may order `lines_per_minute` lines, a guest `guest_lines_per_minute`. Orders of more than
    `large_order` lines share a rate in each process, `large_lines_per_second` for accounts and
    `guest_large_lines_per_second` for guests.

    A shopper may have `max_open_orders` pending orders, a guest `guest_open_pieces` of one product in them:
    they reserve stock without being paid for. Within `decline_window_seconds`,
    `declines_per_shopper` payments of one shopper and `declines_per_network` of one network may be declined.

    A ticket opens an event stream for `ticket_seconds`. Within `lookup_window_seconds`, `lookups_per_number`
    lookups of a number and `lookups_per_network` from a network may fail. The stream of a lookup ends after
    `lookup_stream_seconds`.

    A saga that has been stuck for `nudge_after` seconds is nudged, again after twice that time and so on, at
    most `nudge_limit` times, and no later than `nudge_days` after its order was placed or cancelled. For that
    long every service keeps its state of the order, so that a republished event is recognised as handled.
    The job runs every `nudge_every` seconds; expired orders are looked for every `sweep_every`.

    A read from product or cart may take `neighbour_timeout`, all its attempts together `neighbour_total`.
    """

    product_url: Url
    cart_url: Url
    contact_key: EncryptionKeys
    action_key: EncryptionKeys
    return_origins: ReturnOrigins = ""
    trusted_proxies: TrustedProxies = Proxies()

    order_deadline: Seconds = 900
    sweep_every: Seconds = 2
    sweep_batch: Count = 100
    nudge_every: Seconds = 60
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
    publish_linger: Annotated[float, Field(ge=0)] = 0.03  # so that single checkouts are published in batches
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
        """The largest order that is accepted."""
        return Limits(self.max_lines, self.max_quantity, self.max_total)

    @property
    def guest_limits(self) -> Limits:
        return replace(self.limits, quantity=min(self.max_quantity, self.guest_open_pieces))

    @property
    def budget(self) -> LineBudget:
        """The rate limits on the lines that accounts order."""
        rate = Rate(self.large_lines_per_second, at_once=2 * self.max_lines)
        return LineBudget(self.lines_per_minute, self.large_order, rate)

    @property
    def guest_budget(self) -> LineBudget:
        rate = Rate(self.guest_large_lines_per_second, at_once=2 * self.max_lines)
        return LineBudget(self.guest_lines_per_minute, self.large_order, rate)

    @property
    def decline_window(self) -> timedelta:
        return timedelta(seconds=self.decline_window_seconds)
