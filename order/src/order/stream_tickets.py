"""Tickets for event streams. A browser's `EventSource` cannot send a token in a header, and a token in a URL
would be valid for long after it got into histories and logs. A ticket is valid for one order and for
seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pydantic import SecretStr

from chassis.http.problems import Unauthenticated
from chassis.messaging.encryption import BadTicket, Tickets
from order.watch import Reader

_PURPOSE = "an order's event stream"


class BadStreamTicket(Unauthenticated):
    """401: tampered with, expired, or for another order; the response does not say which."""

    type = "/problems/ticket-not-valid"
    title = "The ticket is not valid"

    def __init__(self) -> None:
        super().__init__("The ticket has expired or is not for this order: get a new one.")


@dataclass(frozen=True)
class Issued:
    """A new ticket, valid for `seconds`."""

    ticket: str
    order_id: UUID
    seconds: int

    @property
    def href(self) -> str:
        """The URL of the stream, with the ticket."""
        return f"/v1/orders/{self.order_id}/events?ticket={self.ticket}"


class StreamTickets:
    """Issues and reads tickets. Each is valid for `seconds`, but not for longer than the reader's token."""

    def __init__(self, tickets: Tickets, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._tickets = tickets
        self._seconds = seconds
        self._clock = clock

    @classmethod
    def of(cls, keys: SecretStr, *, seconds: float) -> Self:
        """With a key derived from those of the setting (see `EncryptionKeys`)."""
        return cls(Tickets.of(keys, _PURPOSE), seconds=seconds)

    def issue(self, order_id: UUID, reader: Reader) -> Issued:
        """A ticket for this reader and this order's stream."""
        now = self._clock()
        until = min(now + self._seconds, reader.until)
        content = {"order": str(order_id), "reader": str(reader.id), "until": reader.until}
        if reader.shopper is not None:
            content["shopper"] = str(reader.shopper)
        return Issued(self._tickets.issue(content, until), order_id, int(until - now))

    def read(self, ticket: str) -> tuple[UUID, Reader]:
        """The order and the reader that the ticket is for. Raises BadStreamTicket."""
        try:
            content = self._tickets.read(ticket)
        except BadTicket:
            raise BadStreamTicket from None
        shopper = UUID(content["shopper"]) if "shopper" in content else None
        return UUID(content["order"]), Reader(UUID(content["reader"]), content["until"], shopper)
