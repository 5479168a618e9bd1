"""Reading a delivery: a message becomes an event and the step that is for it, or there is a reason why not.

Nothing that its sender could make up is believed: an event's id is its type and subject, its type is the
key that the broker let it be published with, its source is the user that the broker checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import ValidationError

from chassis.messaging.envelope import Envelope, Unreadable
from chassis.saga.event import Event
from chassis.saga.steps import Step, Steps
from chassis.saga.topology import EVENTS_EXCHANGE
from chassis.telemetry.privacy import reason


class Incoming(Protocol):
    """A message as the broker delivers it: `exchange` is where it was published to."""

    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, Any]: ...
    @property
    def exchange(self) -> str | None: ...
    @property
    def routing_key(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that could be read, and the step that is for it."""

    envelope: Envelope
    event: Event
    step: Step


def decode(message: Incoming, steps: Steps) -> Delivery:
    """Raises `Unreadable`, with a reason that quotes nothing of the message."""
    envelope = Envelope.read(message.headers, message.body)
    step = steps.find(envelope.type, envelope.version)
    if step is None:
        raise Unreadable(f"no step for {envelope.type} version {envelope.version}")
    try:
        event = step.event.model_validate_json(envelope.data)
    except ValidationError as error:
        raise Unreadable(reason(error)) from None
    if event.subject != envelope.subject:
        raise Unreadable("the subject is not the event's")
    return Delivery(_published(envelope, message, steps), event, step)


def publisher(message: Incoming, steps: Steps) -> str | None:
    """Who published a message that came by the exchange of events: the user that the broker has checked. The
    previous release names none; then it is whoever the event's model names.

    `None` for what came another way: from the queue's own retries or from an operator, whose word is good.
    """
    if message.exchange != EVENTS_EXCHANGE:
        return None
    return message.user_id or steps.publisher(message.routing_key or "")


def _published(envelope: Envelope, message: Incoming, steps: Steps) -> Envelope:
    if message.exchange != EVENTS_EXCHANGE:
        return envelope
    if message.routing_key != envelope.type:
        raise Unreadable("published with another key than its type")
    who = publisher(message, steps)
    if who is None or (message.user_id is not None and envelope.source != who):
        raise Unreadable("the source is not who published it")
    return replace(envelope, source=who)
