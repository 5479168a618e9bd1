"""How long a ticket for an event stream is valid."""

from uuid import uuid4

import pytest
from cryptography.fernet import Fernet

from chassis.messaging.encryption import Tickets
from order.problems import BadStreamTicket
from order.streams import Reader, StreamTickets

NOW = 1_800_000_000.0


def test_a_ticket_does_not_outlive_its_readers_token() -> None:
    key = Fernet.generate_key().decode()
    tickets = StreamTickets(Tickets([key], "tests", clock=lambda: NOW + 10), seconds=30, clock=lambda: NOW)
    order_id, reader = uuid4(), Reader(uuid4(), NOW + 20.5)
    issued = tickets.issue(order_id, reader)
    assert issued.expires_in == 20
    assert tickets.read(issued.ticket) == (order_id, reader)
    with pytest.raises(BadStreamTicket):
        tickets.read(tickets.issue(order_id, Reader(uuid4(), NOW + 9)).ticket)
