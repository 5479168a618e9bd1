"""Forged events: a hostile service that may publish anything may forge what the event is.

Under its own login, or without one, it publishes an event that it has the right to publish about an order
that it has made up, and writes on it the id of any other event, or any other source. It does so at any
moment, to every queue that its key reaches.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from uuid import UUID

from chassis.messaging.envelope import Unreadable
from chassis.saga.delivery import Delivery, decode
from chassis.saga.steps import Steps
from chassis.testing import Published, published
from contracts import Event
from shop.services import PARTICIPANTS
from tests.fuzz.events import good
from tests.model.provider import NOW

MADE_UP = UUID(int=666)
SOURCES = (*(participant.name for participant in PARTICIPANTS), "operator")


def accepted(steps: Steps, subjects: Iterable[UUID]) -> list[Published]:
    """The forged events about these subjects that decoding accepts.

    What it rejects is a dead letter at once, whatever the state, and what it takes for what it really is was
    not forged: neither has to be explored.
    """
    return [
        forged_event for forged_event in forged(steps, list(subjects)) if _is_accepted(forged_event, steps)
    ]


def forged(steps: Steps, subjects: list[UUID]) -> Iterator[Published]:
    """All of them."""
    ids = [f"{type_}/{subject}" for type_ in steps.routing_keys() for subject in subjects]
    for participant in PARTICIPANTS:
        for step in steps:
            if step.event.type in participant.published_keys():
                event = good(step.event, MADE_UP)
                own = f"{event.type}/{event.subject}"
                for login, id_, source in product((participant.name, None), (own, *ids), SOURCES):
                    yield _forge(event, login, id_, source)


def _forge(event: Event, login: str | None, id_: str, source: str) -> Published:
    message = published(event, NOW)
    written = {"cloudEvents:id": id_, "cloudEvents:source": f"/{source}"}
    return replace(message, user_id=login, headers={**message.headers, **written})


def _is_accepted(forged_event: Published, steps: Steps) -> bool:
    try:
        return not _is_true(decode(forged_event, steps), forged_event)
    except Unreadable:
        return False


def _is_true(delivery: Delivery, forged_event: Published) -> bool:
    """It was read as what the broker knows of it."""
    event = delivery.event
    id_, source = f"{event.type}/{event.subject}", forged_event.user_id or event.publisher
    return (delivery.envelope.id, delivery.envelope.source) == (id_, source)
