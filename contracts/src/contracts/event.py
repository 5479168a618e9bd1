"""The base of all events: an immutable fact about one subject, identified on the wire by type and version."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

EVENTS: dict[tuple[str, int], type["Event"]] = {}


class Event(BaseModel):
    """A fact that a service publishes.

    `type` is the CloudEvents type and the routing key (`order.created`); `version` is increased when a model
    changes incompatibly. A subject has at most one event of each type, so `type` and `subject` identify an
    event for ever: a repeat has the same content. Unknown fields are ignored, so that a publisher may be
    newer than its consumers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    version: ClassVar[int] = 1
    publisher: ClassVar[str]

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
        """The id for logs: the order or account, also where each event has a subject of its own."""
        return self.subject


def event_named(type_: str, version: int = 1) -> type[Event]:
    """The model of a type and version. Raises `KeyError` if there is none."""
    return EVENTS[type_, version]
