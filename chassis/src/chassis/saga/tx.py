"""What a step works with: the event that it handles, and its transaction, which loads rows by key, adds rows,
publishes events and intends calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Protocol, Self, TypeVar
from uuid import UUID

from chassis.messaging.envelope import Envelope

Row = TypeVar("Row")


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


@dataclass(frozen=True)
class Intent:
    """A remote call that is committed before it is made, and repeated until its outcome is known.

    `kind`: which call it is; the function for its outcome is registered under this name.
    `subject`: what the call is about; with `kind` it identifies the intent.
    `payload`: the call's parameters, so that every repeat is exactly the same call.

    `key` is the same over crashes and retries and serves as the call's idempotency key.
    """

    kind: str
    subject: UUID
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True)
class Cause:
    """What led to an event: the id of the message, and the `traceparent` that it carried."""

    id: str
    traceparent: str | None


class Tx(Protocol):
    """One transaction as a step sees it. It commits after all steps of the batch have run."""

    @property
    def now(self) -> datetime:
        """The time when the transaction began, in UTC."""

    @property
    def envelope(self) -> Envelope | None:
        """The envelope of the message that is being handled; `None` outside a step."""

    async def get(self, row_type: type[Row], key: Any) -> Row | None:
        """The row with this key, locked until the commit, or `None`."""

    async def get_many(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        """The existing rows with these keys, locked in the sequence of their keys until the commit."""

    async def get_free(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        """Like `get_many`, without the rows that another transaction has locked. It never waits for a lock,
        so it cannot cause a deadlock, whichever rows are locked already."""

    def add(self, row: Any) -> None:
        """Insert the row at commit. The transaction fails if another one has committed a row with its key."""

    def add_once(self, row: Any) -> None:
        """Insert the row at commit, unless a row with its key exists. It cannot be loaded afterwards."""

    def publish(self, *events: Event, cause: Cause | None = None) -> None:
        """Publish events: they are committed to the outbox together with the rows, and sent after the commit.
        Their cause is the message that is being handled, unless another `cause` is given."""

    def intend(self, *intents: Intent) -> None:
        """Commit the intent to make remote calls; they are made after the commit."""

    def retry_now(self, subject: UUID) -> None:
        """After the commit, repeat the calls about this subject whose outcome is unknown, without their
        delay."""


def key_field(row_type: type) -> str:
    """The name of a row's key: the first field of its dataclass."""
    return fields(row_type)[0].name


def key_of(row: Any) -> Any:
    return getattr(row, key_field(type(row)))
