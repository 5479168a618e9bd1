"""What a step may do inside its transaction: load by key, add, publish, intend. Nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from chassis.messaging.envelope import Envelope
from chassis.saga.event import Event

Row = TypeVar("Row")


@dataclass(frozen=True)
class Intent:
    """A remote call that is committed before it is made, and made until its outcome is known.

    `key` is stable over crashes and retries and serves as the idempotency key of the call; `payload`
    holds the call's parameters, so that a repeat is the same call to the letter.
    """

    kind: str
    subject: UUID
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True)
class Cause:
    """What led to an event: the id of a message, and the trace that it came with."""

    id: str
    traceparent: str | None


class Tx(Protocol):
    """One transaction as a step sees it. It commits when the step, or the batch of steps, is through."""

    @property
    def now(self) -> datetime:
        """The clock, read once per transaction, UTC."""

    @property
    def envelope(self) -> Envelope | None:
        """The envelope of the message at hand; `None` outside a step."""

    async def get(self, row_type: type[Row], key: Any) -> Row | None:
        """The row with that key, locked until the commit, or `None`."""

    async def get_many(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        """The rows that exist of those keys, locked key by key until the commit."""

    async def get_free(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        """Those of the rows that no other transaction has locked, locked until the commit. It never waits, so
        it may be called whatever is locked already."""

    def add(self, row: Any) -> None:
        """Insert at commit. A row with that key that another transaction committed first fails this one."""

    def add_once(self, row: Any) -> None:
        """Insert at commit unless a row with that key is there, whoever committed it. It cannot be loaded."""

    def publish(self, *events: Event, cause: Cause | None = None) -> None:
        """Say at commit what happened: it goes to the outbox with the state that it tells of. What led to it
        is the message at hand, unless another is given."""

    def intend(self, *intents: Intent) -> None:
        """Commit the intent to call somebody remote; the call is made after the commit."""

    def retry_now(self, subject: UUID) -> None:
        """Calls about the subject whose outcome is unknown are made again after the commit, not later."""


def key_field(row_type: type) -> str:
    """A row's key is the first field of its dataclass."""
    return fields(row_type)[0].name


def key_of(row: Any) -> Any:
    return getattr(row, key_field(type(row)))
