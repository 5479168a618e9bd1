"""What product is told on top of what every service is."""

from typing import Annotated

from pydantic import Field

from chassis.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`vocabulary_age`: how old the words may be that misspelt searches are held against.

    A hold that stands `nudge_after` past its order's deadline has its saga nudged, then again after twice
    that time and so on, `nudge_limit` times at most.

    The body limit is higher than elsewhere for loaders, which put up to 1,000 products at once.
    """

    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    vocabulary_age: Seconds = 60

    reconcile_every: Seconds = 60
    reconcile_batch: Annotated[int, Field(ge=1)] = 100
    nudge_after: Seconds = 300
    nudge_limit: Annotated[int, Field(ge=0, le=20)] = 5
