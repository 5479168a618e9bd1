"""Product's own settings, beside those of every service."""

from typing import Annotated

from pydantic import Field

from chassis.runtime.jobs import KeepDays
from chassis.runtime.settings import Seconds, ServiceSettings
from product.domain import LONGEST_WAIT


class Settings(ServiceSettings):
    """`vocabulary_age`: after how many seconds the words that misspelt searches are compared with are read
    again. `counts_age`: after how many seconds the products of each category and price range are counted
    again. At most `lists_at_once` lists and searches run at a time, fewer than `pool_size`, so that a
    checkout's reads always find a connection; the others wait for up to `lists_patience` seconds.

    Stock that is still reserved `nudge_after` seconds past its order's deadline has its saga nudged, then
    again after twice that time and so on, `nudge_limit` times at most. The job runs every `nudge_every`
    seconds, with at most `reconcile_batch` holds at a time.

    An order that needs pieces which other orders have reserved waits for them, for `wait_for_stock` seconds
    at most. The job that serves and rejects such orders runs every `waiting_every` seconds.

    A hold that has ended is kept for `hold_keep_days` after its order was placed, 0 means for ever. That must
    be longer than order's `return_days`, since a return is restocked by means of its hold.

    The body limit is higher than that of other services, for bulk loads of up to 1,000 products.
    """

    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    vocabulary_age: Seconds = 60
    counts_age: Seconds = 30
    lists_at_once: Annotated[int, Field(ge=1)] = 3
    lists_patience: Seconds = 2

    hold_keep_days: KeepDays = 180
    wait_for_stock: Annotated[float, Field(ge=0, le=LONGEST_WAIT.total_seconds())] = 60
    waiting_every: Seconds = 1
    nudge_every: Seconds = 60
    reconcile_batch: Annotated[int, Field(ge=1)] = 100
    nudge_after: Seconds = 300
    nudge_limit: Annotated[int, Field(ge=0, le=20)] = 5
