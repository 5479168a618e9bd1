"""The base of all events: an immutable fact about one subject, identified on the wire by type and version."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

EVENTS: dict[tuple[str, int], type["Event"]] = {}


class Event(BaseModel):
    """A fact that a service publishes: `class StockReserved(AboutOrder, type="stock.reserved",
    publisher="product")`.

    `type`: the CloudEvents type and the routing key. A subject has at most one event of each type, so both
        identify an event for ever: a repeat has the same content.
    `version`: increased when a model changes incompatibly.
    `publisher`: the service that publishes it.
    `subject`: the field with the subject's id, unless the base class has it.

    Unknown fields are ignored, so that a publisher may be newer than its consumers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    version: ClassVar[int]
    publisher: ClassVar[str]
    subject_field: ClassVar[str]

    def __init_subclass__(
        cls,
        *,
        type: str = "",  # noqa: A002 - the attribute's name in CloudEvents
        version: int = 1,
        publisher: str = "",
        subject: str = "",
    ) -> None:
        super().__init_subclass__()
        if subject:
            cls.subject_field = subject
        if type:
            cls.type, cls.version, cls.publisher = type, version, publisher
            EVENTS[type, version] = cls

    @property
    def subject(self) -> UUID:
        """The order (or the account) that the event is about: the CloudEvents subject."""
        subject: UUID = getattr(self, self.subject_field)
        return subject

    @property
    def about(self) -> UUID:
        """The id for logs: the order or account, also where each event has a subject of its own."""
        return self.subject


def event_named(type_: str, version: int = 1) -> type[Event]:
    """The model of a type and version. Raises `KeyError` if there is none."""
    return EVENTS[type_, version]
