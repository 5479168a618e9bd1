from uuid import uuid4

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts import EVENTS, OrderCancelled, Sku, StockReserved, event_named, is_sku


def test_an_event_is_found_by_its_type_and_version() -> None:
    assert event_named("order.cancelled", 1) is OrderCancelled


def test_every_event_has_a_publisher_and_descriptions() -> None:
    for event in EVENTS.values():
        assert event.publisher
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


@pytest.mark.parametrize("sku", ["A", "85123A", "gift_0001_40", "a.b-c", "x" * 32])
def test_a_valid_sku(sku: str) -> None:
    assert is_sku(sku)
    assert TypeAdapter(Sku).validate_python(sku) == sku


@pytest.mark.parametrize("sku", ["", "x" * 33, "A B", "A\n", "-A", ".", "A/B", "é", "A²", "😀", "A\0"])
def test_an_invalid_sku(sku: str) -> None:
    assert not is_sku(sku)
    with pytest.raises(ValidationError):
        TypeAdapter(Sku).validate_python(sku)
