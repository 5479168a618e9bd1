"""The events about an order's stock."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from contracts.order import AboutOrder, ShortLine


class StockReserved(AboutOrder):
    """All lines of the order are reserved."""

    type: ClassVar[str] = "stock.reserved"
    publisher: ClassVar[str] = "product"


class StockRejected(AboutOrder):
    """At least one line could not be reserved, so none is."""

    type: ClassVar[str] = "stock.rejected"
    publisher: ClassVar[str] = "product"

    short: Annotated[
        tuple[ShortLine, ...], Field(min_length=1, description="The lines that are out of stock.")
    ]


class StockReleased(AboutOrder):
    """The pieces that were reserved or sold for a cancelled order are on hand again."""

    type: ClassVar[str] = "stock.released"
    publisher: ClassVar[str] = "product"

    restocked: Annotated[bool, Field(description="True if they were sold, false if only reserved.")]


class StockReturned(AboutOrder):
    """The goods of a return are on hand again. An order can have several, so each has a subject of its
    own."""

    type: ClassVar[str] = "stock.returned"
    publisher: ClassVar[str] = "product"

    return_id: Annotated[UUID, Field(description="The return; also the CloudEvents subject.")]

    @property
    def subject(self) -> UUID:
        return self.return_id
