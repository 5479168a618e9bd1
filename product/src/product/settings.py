"""What product is told on top of what every service is."""

from typing import Annotated

from pydantic import Field

from chassis.retention import KeepDays
from chassis.settings import Seconds, ServiceSettings
from product.domain import LONGEST_WAIT


class Settings(ServiceSettings):
    """`vocabulary_age`: how old the words may be that misspelt searches are held against. At most
    `lists_at_once` lists and searches are read at once, fewer than `pool_size`, so that what checkouts read
    finds a connection; the others wait for `lists_patience`.

    A hold that stands `nudge_after` past its order's deadline has its saga nudged, then again after twice
    that time and so on, `nudge_limit` times at most.

    An order that wants pieces which other orders hold waits for them, for `wait_for_stock` at most. That is
    looked after every `waiting_every`.

    What became of a hold is kept for `hold_keep_days` after its order was placed, 0 is for ever: longer than
    order's `return_days`, since a returned order is restocked by its hold.

    The body limit is higher than elsewhere for loaders, which put up to 1,000 products at once.
    """

    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    vocabulary_age: Seconds = 60
    lists_at_once: Annotated[int, Field(ge=1)] = 3
    lists_patience: Seconds = 2

    hold_keep_days: KeepDays = 180
    wait_for_stock: Annotated[float, Field(ge=0, le=LONGEST_WAIT.total_seconds())] = 60
    waiting_every: Seconds = 1
    reconcile_every: Seconds = 60
    reconcile_batch: Annotated[int, Field(ge=1)] = 100
    nudge_after: Seconds = 300
    nudge_limit: Annotated[int, Field(ge=0, le=20)] = 5
