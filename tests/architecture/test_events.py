"""What has to be written down by hand for a new event or a new kind of mail, and is easily forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from contracts import EVENTS, Event, SagaNudged
from contracts.order import AboutOrder
from notification import domain, saga
from shop.services import PARTICIPANTS

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "notification/src/notification/templates"
ABOUT_ORDERS = [e for e in EVENTS.values() if issubclass(e, AboutOrder) and e is not SagaNudged]


def queues_for(event: type[Event]) -> Iterator[str]:
    for participant in PARTICIPANTS:
        for steps in participant.steps:
            if steps.find(event.type, event.version) is not None:
                yield steps.queue


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_an_event_is_consumed_by_someone(event: type[Event]) -> None:
    """The broker refuses what no queue is bound to, and its outbox row would wait for ever."""
    assert list(queues_for(event)) != []


@pytest.mark.parametrize("event", ABOUT_ORDERS, ids=lambda event: event.type)
def test_an_event_about_an_order_is_in_its_timeline(event: type[Event]) -> None:
    assert "order.timeline" in queues_for(event)


@pytest.mark.parametrize("reason", get_args(domain.Reason))
def test_a_kind_of_mail_has_its_templates_and_its_outcome_is_noted(reason: str) -> None:
    assert (TEMPLATES / f"{reason}.txt").is_file()
    assert (TEMPLATES / f"{reason}.html").is_file()
    assert saga.intents[reason] is not None
