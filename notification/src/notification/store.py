"""Beginning a mail, in the moment before it is handed over, and ending it, when the server has answered: what
is committed here holds after a crash.

One statement for all mails that wait to begin says of each whether its order was cancelled in the meantime,
whether it was begun before and how that ended, and whether its recipient has had enough for this hour; what
may go out is noted as begun and counted. The same statement notes how other mails ended.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

import notification.tables  # noqa: F401  it maps the rows that the saga's steps load
from chassis.storage.direct import fetch
from chassis.telemetry.logs import without_trace
from notification.domain import Outcome

HOUR = timedelta(hours=1)
BEGIN_LINGER = 0.005
"""Seconds that a mail waits for others to begin with it: by then each free connection has one ready."""
END_LINGER = 0.02
"""Seconds that how a mail ended waits for another to begin, so that both are noted at once."""
IN_DOUBT = Outcome("in_doubt", "the process ended before the mail server's answer was noted")

_BEGIN = """
    WITH ended AS (
        UPDATE intent SET outcome = mail.outcome::jsonb
        FROM unnest($5::text[], $6::timestamptz[], $7::text[]) AS mail (key, stamp, outcome)
        WHERE intent.key = mail.key AND started_at = mail.stamp
    ), asked AS (
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) AS asked (key, recipient, stamp)
    ), looked AS (
        SELECT asked.*, intent.outcome,
               CASE WHEN intent.started_at <> asked.stamp THEN 'ended'
                    WHEN intent.kind = 'receipt' AND correspondence.cancelled THEN 'stopped'
               END AS verdict
        FROM asked JOIN intent USING (key)
        LEFT JOIN correspondence ON correspondence.subject_id = intent.subject
        ORDER BY key FOR UPDATE OF intent
    ), counted AS (
        INSERT INTO recipient AS r (hash, mailed)
        SELECT recipient, ARRAY[now()] FROM looked WHERE verdict IS NULL ORDER BY recipient
        ON CONFLICT (hash) DO UPDATE
            SET mailed = (r.mailed || now())[greatest(1, cardinality(r.mailed) + 2 - $4):]
            WHERE coalesce(r.mailed[cardinality(r.mailed) + 1 - $4] <= now() - interval '1 hour', true)
        RETURNING hash
    ), begun AS (
        UPDATE intent SET started_at = looked.stamp FROM looked JOIN counted ON hash = recipient
        WHERE intent.key = looked.key AND verdict IS NULL
        RETURNING intent.key
    )
    SELECT key, coalesce(verdict, CASE WHEN begun.key IS NULL THEN 'put_off' ELSE 'begun' END) AS verdict,
           CASE WHEN verdict IS NULL AND begun.key IS NULL THEN (
               SELECT mailed[cardinality(mailed) + 1 - $4] + interval '1 hour'
               FROM recipient WHERE hash = looked.recipient) END AS until,
           outcome::text
    FROM looked LEFT JOIN begun USING (key)
"""
_WITHDRAW = "UPDATE intent SET started_at = NULL WHERE key = $1 AND started_at = $2"
_ENDED = "SELECT outcome::text FROM intent WHERE key = $1 AND started_at <> $2"
_FORGET_RECIPIENTS = """
    DELETE FROM recipient WHERE hash IN (
        SELECT hash FROM recipient WHERE mailed[cardinality(mailed)] < now() - interval '1 hour' LIMIT $1)
    RETURNING 1
"""
_FORGET_KEPT = """
    DELETE FROM kept_mail WHERE key IN (SELECT key FROM kept_mail WHERE at < $1 ORDER BY at LIMIT $2)
    RETURNING 1
"""
_FORGET_CORRESPONDENCE = """
    DELETE FROM correspondence WHERE subject_id IN (
        SELECT subject_id FROM correspondence WHERE begun_at < $1 ORDER BY begun_at LIMIT $2)
    RETURNING 1
"""
_PURGE = 1000
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

Verdict = Literal["begun", "ended", "stopped", "put_off", "gone"]


@dataclass(frozen=True)
class Asked:
    """A mail that wants to begin; `stamp` is by which its process knows that it was itself that began it."""

    key: str
    recipient: bytes
    stamp: datetime


@dataclass(frozen=True)
class Ended:
    """A mail that this process began, by `stamp`, and how it ended."""

    key: str
    stamp: datetime
    outcome: Outcome


@dataclass(frozen=True)
class Answer:
    """`until` is when the recipient may get mail again, where it is put off; `outcome` is how the mail ended,
    where it was begun before."""

    verdict: Verdict
    stamp: datetime
    until: datetime | None = None
    outcome: Outcome | None = None


class Beginnings:
    """What wants to begin, or has ended, at about the same time is noted by one statement. At most `limit`
    mails begin for one recipient within an hour, counting all processes."""

    def __init__(self, engine: AsyncEngine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._ending: list[tuple[Ended, asyncio.Future[None]]] = []
        self._asking: asyncio.Task[None] | None = None
        self._lingering: asyncio.TimerHandle | None = None
        # Mails that may be noted as begun, by this stamp, and of which this process knows that they were not.
        self._not_begun: dict[str, datetime] = {}

    async def begin(self, key: str, recipient: bytes) -> Answer:
        """Whether the mail may go out; `begun` is committed. Raises when that could not be found out: then
        it must not go out, and may be tried again."""
        asked = Asked(key, recipient, self._not_begun.get(key) or datetime.now(UTC))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        self._ask_now()
        try:
            found = await asyncio.shield(answer)
        except BaseException:
            self._not_begun[key] = asked.stamp
            raise
        self._not_begun.pop(key, None)
        return found

    async def end(self, key: str, stamp: datetime, outcome: Outcome) -> None:
        """Note how a mail ended that was begun by `stamp`: it is not in doubt. Raises when that could not be
        noted."""
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending.append((Ended(key, stamp, outcome), noted))
        self._ask_soon()
        await asyncio.shield(noted)

    async def withdraw(self, key: str, stamp: datetime) -> None:
        """The server has said that it does not have the mail: it may begin again."""
        self._not_begun[key] = stamp
        await fetch(self._engine, _WITHDRAW, key, stamp)
        del self._not_begun[key]

    async def ended(self, key: str) -> Outcome | None:
        """How it ended, or that this is in doubt, if somebody has begun it."""
        rows = await fetch(self._engine, _ENDED, key, self._not_begun.get(key, _NEVER))
        return _outcome(rows[0]["outcome"]) if rows else None

    def _ask_soon(self) -> None:
        if self._asking is None and self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(END_LINGER, self._ask_now)

    def _ask_now(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), context=without_trace())

    async def _ask(self) -> None:
        while True:
            await asyncio.sleep(BEGIN_LINGER)
            begin, self._ending, end = self._next_batch(), [], self._ending
            try:
                found = await self._note([asked for asked, _ in begin], [ended for ended, _ in end])
            except Exception as error:
                _fail([answer for _, answer in begin], error)
                _fail([noted for _, noted in end], error)
            else:
                for asked, answer in begin:
                    answer.set_result(found.get(asked.key) or Answer("gone", asked.stamp))
                for _, noted in end:
                    noted.set_result(None)
            if not self._waiting:
                break
        self._asking = None
        if self._ending:
            self._ask_soon()

    def _next_batch(self) -> list[tuple[Asked, asyncio.Future[Answer]]]:
        """One mail for each recipient: a row changes once in a statement."""
        batch: dict[bytes, tuple[Asked, asyncio.Future[Answer]]] = {}
        self._waiting = [one for one in self._waiting if batch.setdefault(one[0].recipient, one) is not one]
        return list(batch.values())

    async def _note(self, asked: Sequence[Asked], ended: Sequence[Ended]) -> dict[str, Answer]:
        rows = await fetch(
            self._engine,
            _BEGIN,
            [one.key for one in asked],
            [one.recipient for one in asked],
            [one.stamp for one in asked],
            self._limit,
            [one.key for one in ended],
            [one.stamp for one in ended],
            [json.dumps({"fate": one.outcome.fate, "why": one.outcome.why}) for one in ended],
        )
        stamps = {one.key: one.stamp for one in asked}
        return {row["key"]: _told(row, stamps[row["key"]]) for row in rows}


def _fail(waiting: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    for one in waiting:
        one.set_exception(error)
        one.exception()  # whoever asked may have been cancelled


def _told(row: Any, stamp: datetime) -> Answer:
    outcome = _outcome(row["outcome"]) if row["verdict"] == "ended" else None
    return Answer(row["verdict"], stamp, row["until"], outcome)


def _outcome(noted: str | None) -> Outcome:
    return IN_DOUBT if noted is None else Outcome(**json.loads(noted))


class Retention:
    """Forgets what is no longer needed, a bounded number of rows at a time. Days of 0 keep for ever."""

    def __init__(self, engine: AsyncEngine, *, kept_mail_days: int, correspondence_days: int) -> None:
        self._engine = engine
        self._kept_mail_days = kept_mail_days
        self._correspondence_days = correspondence_days

    async def forget(self) -> None:
        await self._purge(_FORGET_RECIPIENTS)
        if self._kept_mail_days:
            await self._purge(_FORGET_KEPT, _days_ago(self._kept_mail_days))
        if self._correspondence_days:
            await self._purge(_FORGET_CORRESPONDENCE, _days_ago(self._correspondence_days))

    async def _purge(self, statement: str, *values: Any) -> None:
        while len(await fetch(self._engine, statement, *values, _PURGE)) == _PURGE:
            pass


def _days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
