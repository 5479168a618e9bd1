"""The definition of a stock code (sku) in HTTP requests.

Events keep the wider type of `contracts.order`: a pattern in their schemas would be a breaking change, and
would reject events of earlier releases.
"""

import re
from typing import Annotated

from pydantic import Field

SKU_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
SKU_LENGTH = 32  # characters and bytes: all are ASCII, and none is escaped in a URL

Sku = Annotated[
    str,
    Field(
        min_length=1,
        max_length=SKU_LENGTH,
        pattern=SKU_PATTERN,
        description="Stock code.",
        examples=["85123A"],
    ),
]
"""A sku in a body or a query string."""

_sku = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", re.ASCII)


def is_sku(text: str) -> bool:
    """Whether a product can have this sku."""
    return _sku.fullmatch(text) is not None
