"""An operator's session on dead letters: one at a time, audited, each action exactly once."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self

import asyncpg
from aio_pika.exceptions import DeliveryError

from shop.audit.trail import Audit, AuditedAction, Entry
from shop.dead_letters.dead_letter import STEPS, DeadLetter, body_of
from shop.dead_letters.deliveries import BROKER_ERRORS, Deliveries, Listing, fetch
from shop.dead_letters.editing import with_body
from shop.errors import ShopError
from shop.targets import Target

LIMIT = 1000  # dead letters of a queue, by default
_BATCH = 100  # between two batches, others can read the queues
_LOCKS = 701_002  # any constant: ours among PostgreSQL's advisory locks
_ACTING, _READING = 1, 2
_NO_WAIT_MS, _READ_WAIT_MS = 1, 8000


class Busy(ShopError):
    """Another operator is working on the dead letters."""

    exit_code = 4


@dataclass(frozen=True)
class Action:
    """What to do with a dead letter. `after` is published to its queue; None: it is only removed."""

    action: Literal["replay", "edit", "discard"]
    dead_letter: DeadLetter
    after: DeadLetter | None

    @classmethod
    def replay(cls, dead_letter: DeadLetter) -> Self:
        return cls("replay", dead_letter, dead_letter.as_published())

    @classmethod
    def edit(cls, dead_letter: DeadLetter, body: bytes, event_type: str | None) -> Self:
        """Raises ShopError when the step could not decode the edited message."""
        return cls("edit", dead_letter, with_body(dead_letter, body, event_type))

    @classmethod
    def discard(cls, dead_letter: DeadLetter) -> Self:
        return cls("discard", dead_letter, None)


class DeadLetterSession:
    """`async with DeadLetterSession.opened(target, operator()) as session: await session.peek()`."""

    def __init__(self, audit: Audit, amqp_url: str, limit: int = LIMIT) -> None:
        self._audit = audit
        self._amqp_url = amqp_url
        self._limit = limit

    @classmethod
    @asynccontextmanager
    async def opened(cls, target: Target, who: str, limit: int = LIMIT) -> AsyncIterator[Self]:
        """Raises ShopError when PostgreSQL does not answer."""
        async with Audit.opened(target, who) as audit:
            yield cls(audit, target.operator_amqp_url, limit)

    async def peek(self, queues: Iterable[str] = STEPS) -> Listing:
        """Read without removing anything; at most `limit` dead letters of each queue."""
        async with self._fetched(queues) as deliveries:
            return deliveries.listing

    async def histories(self, dead_letters: Sequence[DeadLetter]) -> dict[str, list[Entry]]:
        """For each dead letter's id, earlier actions on the same message, oldest first."""
        found = await self._audit.of_messages([x.queue for x in dead_letters], [x.key for x in dead_letters])
        return {
            dead_letter.id: [
                e for e in found if (e.queue, e.message_id) == (dead_letter.queue, dead_letter.key)
            ]
            for dead_letter in dead_letters
        }

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[tuple[Listing, list[Entry]]]:
        """Only one operator acts at a time. Finishes interrupted actions first.

        Yields the dead letters and the actions that were finished. Raises Busy when another operator acts.
        """
        async with self._locked(_ACTING, _NO_WAIT_MS):
            async with self._fetched(STEPS) as deliveries:
                finished = await self._finish_interrupted(deliveries)
                left = deliveries.remaining()
            yield left, finished

    async def act(
        self, actions: Sequence[Action], why: str, on_done: Callable[[], None] = lambda: None
    ) -> list[DeadLetter]:
        """Carry out the actions in order, calling `on_done` after each; only inside `exclusive()`.

        Returns those no longer in their queue. Raises ShopError at the first that cannot be published.
        """
        gone: list[DeadLetter] = []
        for start in range(0, len(actions), _BATCH):
            batch = actions[start : start + _BATCH]
            async with self._fetched({action.dead_letter.queue for action in batch}) as deliveries:
                for action in batch:
                    if deliveries.find(action.dead_letter.id) is None:
                        gone.append(action.dead_letter)
                    else:
                        number = await self._audit.begin(_audit_entry(action, why))
                        await self._carry_out(number, action.dead_letter, action.after, deliveries)
                    on_done()
        return gone

    async def _carry_out(
        self, number: int, dead_letter: DeadLetter, after: DeadLetter | None, deliveries: Deliveries
    ) -> None:
        if after is not None:
            try:
                await deliveries.publish(after)
            except DeliveryError as error:
                await self._audit.mark(number, "failed", f"not published: {error!r}")
                raise ShopError(
                    f"the broker did not accept the message for queue {dead_letter.queue} ({error!r}),"
                    " which stays dead-lettered: does the queue exist? `shop up` declares the topology"
                ) from error
            await self._audit.mark(number, "published")
        await deliveries.acknowledge(dead_letter)
        await self._audit.mark(number, "done")

    async def _finish_interrupted(self, deliveries: Deliveries) -> list[Entry]:
        """Interrupted actions, and handled dead letters whose acknowledgement was lost."""
        unfinished = [entry for entry in await self._audit.unfinished() if entry.queue in STEPS]
        for entry in unfinished:
            dead_letter = deliveries.find(entry.letter_id)
            if dead_letter is not None and entry.state == "begun":
                await self._carry_out(entry.id, dead_letter, _copy_to_publish(entry, dead_letter), deliveries)
            elif dead_letter is None and (more := deliveries.listing.beyond.get(entry.queue or "")):
                raise ShopError(
                    f"action {entry.id} was interrupted, and its dead letter is not among the first"
                    f" {self._limit} of {entry.queue}: pass --limit {self._limit + more}"
                )
            elif dead_letter is None and entry.state == "begun" and entry.action != "discard":
                await self._audit.mark(entry.id, "failed", "no longer in the queue before it was published")
            else:
                await self._audit.mark(entry.id, "done")
        for letter_id in await self._audit.handled(
            [dead_letter.id for dead_letter in deliveries.remaining().dead_letters]
        ):
            if dead_letter := deliveries.find(letter_id):
                await deliveries.acknowledge(dead_letter)
        return unfinished

    @asynccontextmanager
    async def _fetched(self, queues: Iterable[str]) -> AsyncIterator[Deliveries]:
        async with self._locked(_READING, _READ_WAIT_MS):
            try:
                async with fetch(self._amqp_url, queues, self._limit) as deliveries:
                    yield deliveries
            except (*BROKER_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise ShopError(
                    f"RabbitMQ or PostgreSQL does not answer ({error!r}): see `shop status`;"
                    " an interrupted action is finished by the next replay, edit or discard"
                ) from error

    @asynccontextmanager
    async def _locked(self, lock: int, timeout_ms: int) -> AsyncIterator[None]:
        connection = self._audit.connection
        await connection.execute("SELECT set_config('lock_timeout', $1, false)", str(timeout_ms))
        try:
            await connection.execute("SELECT pg_advisory_lock($1, $2)", _LOCKS, lock)
        except asyncpg.LockNotAvailableError:
            raise Busy(await self._holder(lock)) from None
        try:
            yield
        finally:
            if not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock($1, $2)", _LOCKS, lock)

    async def _holder(self, lock: int) -> str:
        row = await self._audit.connection.fetchrow(
            """SELECT application_name, to_char(backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS') AS since
                 FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND granted
                  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            _LOCKS,
            lock,
        )
        who, since = (row["application_name"], row["since"]) if row else ("another operator", "a moment ago")
        return f"{who} has been working on the dead letters since {since} UTC: try again later"


async def peek(target: Target, who: str) -> Listing:
    """All dead letters of a shop, at most a thousand of each queue, without removing anything."""
    async with DeadLetterSession.opened(target, who) as session:
        return await session.peek()


def _audit_entry(action: Action, why: str) -> AuditedAction:
    dead_letter = action.dead_letter
    return AuditedAction(
        action.action,
        why,
        order_id=dead_letter.order_id,
        queue=dead_letter.queue,
        letter_id=dead_letter.id,
        message_id=action.after.key if action.after else dead_letter.key,
        before=dead_letter.document(),
        after=action.after.document() if action.after else None,
    )


def _copy_to_publish(entry: Entry, dead_letter: DeadLetter) -> DeadLetter | None:
    """The message that the interrupted action was about to publish, byte for byte."""
    match entry.action:
        case "replay":
            return dead_letter.as_published()
        case "edit":
            return with_body(dead_letter, body_of(entry.after), entry.after["type"])
        case _:
            return None
