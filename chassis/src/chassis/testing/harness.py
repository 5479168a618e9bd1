"""Runs steps in memory, with dictionaries as tables, for tests that need no server."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from chassis.messaging.envelope import Envelope
from chassis.saga.delivery import Incoming, decode
from chassis.saga.intents import Intents
from chassis.saga.steps import Steps
from chassis.saga.topology import EVENTS_EXCHANGE
from chassis.saga.tx import Cause, Event, Intent, Tx, event_id, key_of
from chassis.storage.outbox import envelope

Row = TypeVar("Row")


class Undeclared(AssertionError):
    """A step published an event that it does not declare: topology and SAGA.md would be wrong."""


@dataclass(frozen=True)
class Published:
    """A message that was published to the events exchange by the authenticated user `user_id`."""

    body: bytes
    headers: Mapping[str, Any]
    routing_key: str
    user_id: str | None
    exchange: str = EVENTS_EXCHANGE


class MemoryTx:
    """`Tx` on copies of a harness's rows; the harness commits them."""

    def __init__(self, rows: dict[tuple[type, Any], Any], now: datetime, envelope: Envelope | None) -> None:
        self._committed = rows
        self.rows: dict[tuple[type, Any], Any] = {}
        self.now = now
        self.envelope = envelope
        self.published: list[Event] = []
        self.intended: list[Intent] = []

    async def get(self, row_type: type[Row], key: Any) -> Row | None:
        found = await self.get_many(row_type, [key])
        return found.get(key)

    async def get_many(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        found: dict[Any, Row] = {}
        for key in keys:
            slot = (row_type, key)
            if slot not in self.rows and slot in self._committed:
                self.rows[slot] = _copy(self._committed[slot])
            if slot in self.rows:
                found[key] = self.rows[slot]
        return found

    async def get_free(self, row_type: type[Row], keys: Iterable[Any]) -> dict[Any, Row]:
        return await self.get_many(row_type, keys)

    def add(self, row: Any) -> None:
        slot = (type(row), key_of(row))
        assert slot not in self._committed, f"{slot} exists"
        self.rows[slot] = row

    def add_once(self, row: Any) -> None:
        slot = (type(row), key_of(row))
        if slot not in self._committed:
            self.rows.setdefault(slot, row)

    def publish(self, *events: Event, cause: Cause | None = None) -> None:
        self.published.extend(events)

    def intend(self, *intents: Intent) -> None:
        self.intended.extend(intents)

    def retry_now(self, subject: UUID) -> None:
        """Calls in memory have no delays."""


class Harness:
    """One service's steps with tables and an inbox in memory.

    `rows`: the committed rows, by type and key.
    `published`: the events that steps have published, in sequence.
    `intended`: the intents whose calls are to be made, by key.
    """

    def __init__(self, *steps: Steps, intents: Intents | None = None, now: datetime | None = None) -> None:
        self._steps: Sequence[Steps] = steps
        self._intents = intents
        self.now = now or datetime(2026, 1, 1, tzinfo=UTC)
        self.rows: dict[tuple[type, Any], Any] = {}
        self.inbox: set[tuple[str, str]] = set()
        self.published: list[Event] = []
        self.intended: dict[str, Intent] = {}

    def put(self, *rows: Any) -> None:
        """Add committed rows."""
        for row in rows:
            self.rows[type(row), key_of(row)] = row

    def row(self, row_type: type[Row], key: Any) -> Row | None:
        """The committed row with this key."""
        found: Row | None = self.rows.get((row_type, key))
        return found

    def fork(self) -> Self:
        """A copy of this harness's committed state, in which nothing has been published yet."""
        other = type(self)(*self._steps, intents=self._intents, now=self.now)
        other.rows, other.inbox, other.intended = dict(self.rows), set(self.inbox), dict(self.intended)
        return other

    async def consume(self, *events: Event) -> None:
        """Deliver events, each in its own transaction. An event that was delivered before is a repeat."""
        for event in events:
            await self.receive(published(event, self.now))

    async def receive(self, *messages: Incoming) -> None:
        """Deliver messages as they are. Raises Unreadable for one that would be dead-lettered at once."""
        for message in messages:
            for steps in self._steps:
                await self._deliver(message, steps, crash=False)

    def forget(self, event: Event) -> None:
        """Remove the event from the inboxes: when it is delivered again, it is not taken for a repeat."""
        self.inbox -= {(steps.queue, event_id(event)) for steps in self._steps}

    async def crash_on(self, event: Event) -> None:
        """Deliver an event to a process that crashes after its steps have run and before they commit."""
        for steps in self._steps:
            await self._deliver(published(event, self.now), steps, crash=True)

    async def run(
        self, work: Callable[[Tx], Awaitable[None]], *, publishes: Sequence[type[Event]] = ()
    ) -> None:
        """Run work that no event caused, such as a request or a periodic job, in a transaction of its own."""
        tx = MemoryTx(self.rows, self.now, None)
        await work(tx)
        self._commit(tx, work.__name__, publishes)

    async def settle(self, kind: str, subject: UUID, outcome: Any) -> None:
        """Handle the outcome of an intended call. Raises `KeyError` when no such call is intended."""
        assert self._intents is not None
        intent = self.intended[f"{kind}:{subject}"]
        outcome_step = self._intents[kind]
        tx = MemoryTx(self.rows, self.now, None)
        await outcome_step.run(intent, outcome, tx)
        del self.intended[intent.key]
        self._commit(tx, kind, outcome_step.publishes)

    async def _deliver(self, message: Incoming, steps: Steps, *, crash: bool) -> None:
        if message.routing_key not in steps.routing_keys():
            return
        delivery = decode(message, steps)
        claim = (steps.queue, delivery.envelope.id)
        if not self._is_fresh(claim):
            return
        tx = MemoryTx(self.rows, self.now, delivery.envelope)
        await delivery.step.run(delivery.event, tx)
        if not crash:
            self._commit(tx, delivery.step.name, delivery.step.publishes)
            self.inbox.add(claim)

    def _is_fresh(self, claim: tuple[str, str]) -> bool:
        return claim not in self.inbox

    def _commit(self, tx: MemoryTx, name: str, publishes: Sequence[type[Event]]) -> None:
        for event in tx.published:
            if type(event) not in publishes:
                raise Undeclared(f"{name} publishes {event.type} and does not declare it")
        self.rows.update(tx.rows)
        self.published.extend(tx.published)
        for intent in tx.intended:
            self.intended.setdefault(intent.key, intent)


def published(event: Event, now: datetime) -> Published:
    """The message with which the event's publisher publishes it."""
    message = envelope(event, event.publisher, now, None, None).to_message(event.publisher)
    return Published(message.body, message.headers, event.type, event.publisher)


def _copy(row: Any) -> Any:
    """A new instance with deep copies of the fields, without the attributes that an ORM adds."""
    return type(row)(**{f.name: deepcopy(getattr(row, f.name)) for f in fields(row)})
