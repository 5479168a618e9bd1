"""What the chassis needs of an event: a type, a version, a subject, and conversion to and from JSON."""

from typing import ClassVar, Protocol, Self
from uuid import UUID


class Event(Protocol):
    """An immutable fact. Any frozen pydantic model with these members is an event.

    Each type of event happens at most once to a subject, so `<type>/<subject>` is the event's id: when it is
    published again, every inbox recognises the repeat.
    """

    type: ClassVar[str]
    version: ClassVar[int]
    publisher: ClassVar[str]
    """The service that usually publishes it. The broker's permissions decide who may."""

    @property
    def subject(self) -> UUID: ...

    @property
    def about(self) -> UUID:
        """The id that log lines carry while the event is handled; usually the subject."""

    def model_dump_json(self) -> str: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> Self: ...


def event_id(event: Event) -> str:
    """The id of its envelope."""
    return f"{event.type}/{event.subject}"
