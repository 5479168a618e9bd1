"""A hostile neighbour: whoever may publish anything may lie about what it is.

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
from tests.model.bank import NOW

MADE_UP = UUID(int=666)
SOURCES = (*(participant.name for participant in PARTICIPANTS), "operator")


def believed(steps: Steps, subjects: Iterable[UUID]) -> list[Published]:
    """The lies about events of these subjects that the queue's reading does not see through.

    What it refuses is a dead letter at once, in whatever state anybody is, and what it takes for what it is
    no lie: neither has to be explored.
    """
    return [lie for lie in lies(steps, list(subjects)) if _is_believed(lie, steps)]


def lies(steps: Steps, subjects: list[UUID]) -> Iterator[Published]:
    """All of them."""
    ids = [f"{type_}/{subject}" for type_ in steps.routing_keys() for subject in subjects]
    for participant in PARTICIPANTS:
        for step in steps:
            if step.event.type in participant.published_keys():
                event = good(step.event, MADE_UP)
                own = f"{event.type}/{event.subject}"
                for login, id_, source in product((participant.name, None), (own, *ids), SOURCES):
                    yield _told(event, login, id_, source)


def _told(event: Event, login: str | None, id_: str, source: str) -> Published:
    message = published(event, NOW)
    written = {"cloudEvents:id": id_, "cloudEvents:source": f"/{source}"}
    return replace(message, user_id=login, headers={**message.headers, **written})


def _is_believed(lie: Published, steps: Steps) -> bool:
    try:
        return not _is_true(decode(lie, steps), lie)
    except Unreadable:
        return False


def _is_true(delivery: Delivery, lie: Published) -> bool:
    """It was read as what the broker knows of it."""
    event = delivery.event
    id_, source = f"{event.type}/{event.subject}", lie.user_id or event.publisher
    return (delivery.envelope.id, delivery.envelope.source) == (id_, source)
