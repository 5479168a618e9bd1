"""What product is told on top of what every service is."""

from typing import Annotated

from pydantic import Field

from chassis.settings import Seconds, ServiceSettings


class Settings(ServiceSettings):
    """`vocabulary_age`: how old the words may be that misspelt searches are held against.

    The body limit is higher than elsewhere for loaders, which put up to 1,000 products at once.
    """

    max_body_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024 * 1024
    vocabulary_age: Seconds = 60
