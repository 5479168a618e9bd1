"""What the chassis asks of an event: a type, a version, a subject and a way to and from JSON."""

from typing import ClassVar, Protocol, Self
from uuid import UUID


class Event(Protocol):
    """An immutable fact. Any frozen pydantic model with these members is one.

    A subject meets each type at most once, so `<type>/<subject>` is the event's id, and saying it again
    is a repeat that every inbox recognises.
    """

    type: ClassVar[str]
    version: ClassVar[int]
    publisher: ClassVar[str]
    """Who publishes it, mostly; the broker's rights decide."""

    @property
    def subject(self) -> UUID: ...

    @property
    def about(self) -> UUID:
        """What log lines name while the event is handled; mostly the subject."""

    def model_dump_json(self) -> str: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> Self: ...


def event_id(event: Event) -> str:
    """The id of its envelope."""
    return f"{event.type}/{event.subject}"
