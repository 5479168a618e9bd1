"""The builders that all tests use build valid events about one order."""

import pytest
from jsonschema import Draft202012Validator

from contracts import EVENTS, Event, testing
from contracts.order import AboutOrder
from contracts.schema import schema_of


def builder_of(event: type[Event]) -> testing.Builder[Event]:
    builder: testing.Builder[Event] = getattr(testing, event.type.replace(".", "_"))
    return builder


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_every_event_has_a_builder_of_valid_events(event: type[Event]) -> None:
    built = builder_of(event)()
    assert type(built) is event
    assert event.model_validate_json(built.model_dump_json()) == built
    Draft202012Validator(schema_of(event)).validate(built.model_dump(mode="json"))


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_a_builder_returns_the_type_that_it_declares(event: type[Event]) -> None:
    assert builder_of(event).event is event


def test_events_are_about_one_order_by_default() -> None:
    about = {builder_of(e)().about for e in EVENTS.values() if issubclass(e, AboutOrder)}
    assert about == {testing.ORDER_ID}


def test_a_builder_takes_changes_of_fields() -> None:
    assert testing.order_paid(payment_id="pi_2").payment_id == "pi_2"


def test_the_total_is_the_sum_of_the_lines() -> None:
    order = testing.order_created(lines=[testing.line("lamp", 3), testing.line("vase")])
    assert order.total == testing.gbp(400)


def test_a_builder_refuses_a_field_that_the_event_does_not_have() -> None:
    with pytest.raises(TypeError, match="OrderPaid has no paymentid"):
        testing.order_paid(paymentid="pi_2")
