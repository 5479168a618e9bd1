"""What a service consumes it can read: every message that is as its committed schema says."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from chassis.saga.delivery import decode
from chassis.saga.steps import Steps
from chassis.testing import published
from contracts import EVENTS, Event, testing
from contracts.schema import committed, file_name
from shop.services import PARTICIPANTS

SCHEMAS = committed(Path(__file__).parents[2] / "contracts/schemas")
CONSUMED = [
    pytest.param(steps, event, id=f"{steps.queue}-{event.type}")
    for participant in PARTICIPANTS
    for steps in participant.steps
    for event in EVENTS.values()
    if steps.find(event.type, event.version) is not None
]


@pytest.mark.parametrize(("steps", "event_type"), CONSUMED)
def test_a_queue_reads_every_event_that_it_is_bound_to(steps: Steps, event_type: type[Event]) -> None:
    event: Event = getattr(testing, event_type.type.replace(".", "_"))()
    message = published(event, datetime.now(UTC))
    Draft202012Validator(SCHEMAS[file_name(event_type)]).validate(json.loads(message.body))

    delivery = decode(message, steps)

    assert delivery.event == event
