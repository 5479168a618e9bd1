"""What every event is: an immutable fact about one subject, known on the wire by its type and version."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

EVENTS: dict[tuple[str, int], type["Event"]] = {}


class Event(BaseModel):
    """A fact that a service tells the others.

    `type` is the CloudEvents type and the routing key (`order.created`); `version` rises when a model
    changes incompatibly. A subject meets each type at most once, so `type` and `subject` name an event
    for good: whoever says it again says the same thing. Unknown fields are ignored when read, so that
    a producer may be newer than its consumers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    version: ClassVar[int] = 1
    said_by: ClassVar[str]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__()
        if "type" in cls.__dict__:
            EVENTS[cls.type, cls.version] = cls

    @property
    def subject(self) -> UUID:
        """The order (or the account) that the event is about: the CloudEvents subject."""
        raise NotImplementedError

    @property
    def about(self) -> UUID:
        """What logs name: the subject, unless an event that happens many times has one of its own."""
        return self.subject


def event_named(type_: str, version: int = 1) -> type[Event]:
    """The model of a type and version. Raises `KeyError` when there is none."""
    return EVENTS[type_, version]
