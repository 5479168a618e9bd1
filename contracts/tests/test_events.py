from uuid import uuid4

import pytest
from pydantic import ValidationError

from contracts import EVENTS, OrderCancelled, StockReserved, event_named


def test_an_event_is_found_by_its_type_and_version() -> None:
    assert event_named("order.cancelled", 1) is OrderCancelled


def test_every_event_says_who_says_it_and_what_it_means() -> None:
    for event in EVENTS.values():
        assert event.said_by
        assert event.__doc__
        for name, field in event.model_fields.items():
            assert field.description or name in ("lines",), f"{event.type}.{name} has no description"


def test_an_event_cannot_be_changed() -> None:
    event = StockReserved(order_id=uuid4())
    with pytest.raises(ValidationError):
        event.order_id = uuid4()  # type: ignore[misc]


def test_fields_of_a_newer_producer_are_ignored() -> None:
    order_id = uuid4()
    event = StockReserved.model_validate_json(f'{{"order_id": "{order_id}", "warehouse": "north"}}')
    assert event == StockReserved(order_id=order_id)
