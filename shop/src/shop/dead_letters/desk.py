"""The desk at which an operator acts on dead letters: one at a time, audited, each letter exactly once."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Self

import asyncpg
from aio_pika.exceptions import DeliveryError

from shop.audit.trail import Action, Audit, Entry
from shop.dead_letters.editing import with_body
from shop.dead_letters.holding import BROKER_ERRORS, Held, Seen, held
from shop.dead_letters.letter import STEPS, Letter, body_of
from shop.errors import ShopError
from shop.targets import Target

LIMIT = 1000  # letters of a queue, unless the operator says otherwise
_AT_A_TIME = 100  # then whoever wants to look has a turn
_LOCKS = 701_002  # any constant: ours among PostgreSQL's advisory locks
_ACTING, _LOOKING = 1, 2
_AT_ONCE_MS, _A_WHILE_MS = 1, 8000


class Busy(ShopError):
    """Another operator is at it."""

    exit_code = 4


@dataclass(frozen=True)
class Deed:
    """What is to be done with a letter. `after` is published in its place; None: nothing is."""

    action: Literal["replay", "edit", "discard"]
    letter: Letter
    after: Letter | None

    @classmethod
    def replay(cls, letter: Letter) -> Self:
        return cls("replay", letter, letter.fresh())

    @classmethod
    def edit(cls, letter: Letter, body: bytes, event_type: str | None) -> Self:
        """Raises ShopError when nobody could read the edited message."""
        return cls("edit", letter, with_body(letter, body, event_type))

    @classmethod
    def discard(cls, letter: Letter) -> Self:
        return cls("discard", letter, None)


class Desk:
    """`async with Desk.opened(target, operator()) as desk: seen = await desk.look()`."""

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

    async def look(self, queues: Iterable[str] = STEPS) -> Seen:
        """Without taking anything; at most `limit` letters of each queue."""
        async with self._holding(queues) as hand:
            return hand.seen

    async def histories(self, letters: Sequence[Letter]) -> dict[str, list[Entry]]:
        """For each letter's id, what has been done with the same message before, oldest first."""
        found = await self._audit.of_messages([x.queue for x in letters], [x.key for x in letters])
        return {
            letter.id: [e for e in found if (e.queue, e.message_id) == (letter.queue, letter.key)]
            for letter in letters
        }

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[tuple[Seen, list[Entry]]]:
        """Nobody else acts meanwhile. Gives what lies there, and what was interrupted and is finished now.

        Raises Busy when another operator is at it.
        """
        async with self._locked(_ACTING, _AT_ONCE_MS):
            async with self._holding(STEPS) as hand:
                finished = await self._finish(hand)
                left = hand.left()
            yield left, finished

    async def act(
        self, deeds: Sequence[Deed], why: str, heed: Callable[[], None] = lambda: None
    ) -> list[Letter]:
        """Do it, one after the other, calling `heed` after each; only while `alone`.

        Returns the letters that were no longer there. Raises ShopError at the first that cannot be published.
        """
        gone: list[Letter] = []
        for start in range(0, len(deeds), _AT_A_TIME):
            gone += await self._act(deeds[start : start + _AT_A_TIME], why, heed)
        return gone

    async def _act(self, deeds: Sequence[Deed], why: str, heed: Callable[[], None]) -> list[Letter]:
        gone: list[Letter] = []
        async with self._holding({deed.letter.queue for deed in deeds}) as hand:
            for deed in deeds:
                if hand.find(deed.letter.id) is None:
                    gone.append(deed.letter)
                else:
                    number = await self._audit.begin(_written(deed, why))
                    await self._carry_out(number, deed.letter, deed.after, hand)
                heed()
        return gone

    async def _carry_out(self, number: int, letter: Letter, after: Letter | None, hand: Held) -> None:
        if after is not None:
            try:
                await hand.publish(after)
            except DeliveryError as error:
                await self._audit.mark(number, "failed", f"not published: {error!r}")
                raise ShopError(
                    f"{letter.queue} did not take the message ({error!r}), which stays where it is:"
                    " is the queue there? `shop up` brings the topology"
                ) from error
            await self._audit.mark(number, "published")
        await hand.settle(letter)
        await self._audit.mark(number, "done")

    async def _finish(self, hand: Held) -> list[Entry]:
        """What was interrupted; and letters that are there although they were dealt with."""
        unfinished = [entry for entry in await self._audit.unfinished() if entry.queue in STEPS]
        for entry in unfinished:
            letter = hand.find(entry.letter_id)
            if letter is not None and entry.state == "begun":
                await self._carry_out(entry.id, letter, _after(entry, letter), hand)
            elif letter is None and (more := hand.seen.beyond.get(entry.queue or "")):
                raise ShopError(
                    f"action {entry.id} was interrupted, and its letter is not among the first"
                    f" {self._limit} of {entry.queue}: say --limit {self._limit + more}"
                )
            elif letter is None and entry.state == "begun" and entry.action != "discard":
                await self._audit.mark(entry.id, "failed", "the letter had gone before it was published")
            else:
                await self._audit.mark(entry.id, "done")
        for letter_id in await self._audit.settled([letter.id for letter in hand.left().letters]):
            if letter := hand.find(letter_id):
                await hand.settle(letter)
        return unfinished

    @asynccontextmanager
    async def _holding(self, queues: Iterable[str]) -> AsyncIterator[Held]:
        async with self._locked(_LOOKING, _A_WHILE_MS):
            try:
                async with held(self._amqp_url, queues, self._limit) as hand:
                    yield hand
            except (*BROKER_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise ShopError(
                    f"RabbitMQ or PostgreSQL does not answer ({error!r}): see `shop status`;"
                    " whatever was begun is finished by the next replay, edit or discard"
                ) from error

    @asynccontextmanager
    async def _locked(self, lock: int, patience_ms: int) -> AsyncIterator[None]:
        connection = self._audit.connection
        await connection.execute("SELECT set_config('lock_timeout', $1, false)", str(patience_ms))
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
        return f"{who} is at the dead letters since {since} UTC: try again when that is done"


async def look(target: Target, who: str) -> Seen:
    """All dead letters of a shop, at most a thousand of each queue, without taking anything."""
    async with Desk.opened(target, who) as desk:
        return await desk.look()


def _written(deed: Deed, why: str) -> Action:
    letter = deed.letter
    return Action(
        deed.action,
        why,
        order_id=letter.order_id,
        queue=letter.queue,
        letter_id=letter.id,
        message_id=deed.after.key if deed.after else letter.key,
        before=letter.document(),
        after=deed.after.document() if deed.after else None,
    )


def _after(entry: Entry, letter: Letter) -> Letter | None:
    """The copy that the interrupted action was about to publish, the same to the letter."""
    match entry.action:
        case "replay":
            return letter.fresh()
        case "edit":
            return with_body(letter, body_of(entry.after), entry.after["type"])
        case _:
            return None
