"""Decodes a delivery: from a message to its event and the step that handles it, or the reason why it has
none.

No attribute is trusted that a sender could forge: an event's id has to be its type and subject, its type has
to be its routing key, for which the broker checks the sender's rights, and its source has to be the user whom
the broker authenticated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import ValidationError

from chassis.messaging.envelope import Envelope, Unreadable
from chassis.saga.steps import Step, Steps
from chassis.saga.topology import EVENTS_EXCHANGE
from chassis.saga.tx import Event
from chassis.telemetry.privacy import reason


class Incoming(Protocol):
    """A message as the broker delivers it; `exchange` is the exchange that it was published to."""

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
    """A decoded message, and the step that handles it."""

    envelope: Envelope
    event: Event
    step: Step


def decode(message: Incoming, steps: Steps) -> Delivery:
    """The message's envelope, event and step. Raises `Unreadable`; its text quotes nothing of the message."""
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
    return Delivery(_with_verified_source(envelope, message, steps), event, step)


def publisher(message: Incoming, steps: Steps) -> str | None:
    """The service that published a message to the events exchange: the user whom the broker authenticated.
    Messages of the previous release carry no user; for them it is the publisher that the event's model names.

    `None` for a message that came through another exchange, from the retry ladder or from an operator: its
    source was verified before.
    """
    if message.exchange != EVENTS_EXCHANGE:
        return None
    return message.user_id or steps.publisher(message.routing_key or "")


def _with_verified_source(envelope: Envelope, message: Incoming, steps: Steps) -> Envelope:
    if message.exchange != EVENTS_EXCHANGE:
        return envelope
    if message.routing_key != envelope.type:
        raise Unreadable("published with another key than its type")
    source = publisher(message, steps)
    if source is None or (message.user_id is not None and envelope.source != source):
        raise Unreadable("the source is not who published it")
    return replace(envelope, source=source)
