"""The events about an order's stock."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from contracts.order import AboutOrder, ShortLine


class StockReserved(AboutOrder, type="stock.reserved", publisher="product"):
    """All lines of the order are reserved."""


class StockRejected(AboutOrder, type="stock.rejected", publisher="product"):
    """At least one line could not be reserved, so none is."""

    short: Annotated[
        tuple[ShortLine, ...], Field(min_length=1, description="The lines that are out of stock.")
    ]


class StockReleased(AboutOrder, type="stock.released", publisher="product"):
    """The pieces that were reserved or sold for a cancelled order are on hand again."""

    restocked: Annotated[bool, Field(description="True if they were sold, false if only reserved.")]


class StockReturned(AboutOrder, type="stock.returned", publisher="product", subject="return_id"):
    """The goods of a return are on hand again. An order can have several, so each has a subject of its
    own."""

    return_id: Annotated[UUID, Field(description="The return; also the CloudEvents subject.")]
