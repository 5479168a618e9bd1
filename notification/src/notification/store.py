"""Beginning a mail, in the moment before it is handed over: what is committed here holds after a crash.

One statement for all mails that wait to begin says of each whether its order was cancelled in the meantime,
whether it was begun before by somebody who never learnt the outcome, and whether its recipient has had enough
for this hour; what may go out is noted as begun and counted.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

import notification.tables  # noqa: F401  it maps the rows that the saga's steps load
from chassis.direct import fetch
from chassis.telemetry import without_trace

HOUR = timedelta(hours=1)

_BEGIN = """
    WITH asked AS (
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) AS asked (key, recipient, stamp)
    ), looked AS (
        SELECT asked.*, CASE WHEN intent.started_at <> asked.stamp THEN 'in_doubt'
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
               FROM recipient WHERE hash = looked.recipient) END AS until
    FROM looked LEFT JOIN begun USING (key)
"""
_WITHDRAW = "UPDATE intent SET started_at = NULL WHERE key = $1 AND started_at = $2"
_BEGUN = "SELECT 1 FROM intent WHERE key = $1 AND started_at <> $2"
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

Verdict = Literal["begun", "in_doubt", "stopped", "put_off", "gone"]


@dataclass(frozen=True)
class Asked:
    """A mail that wants to begin; `stamp` is by which its process knows that it was itself that began it."""

    key: str
    recipient: bytes
    stamp: datetime


@dataclass(frozen=True)
class Answer:
    """`until` is when the recipient may get mail again, where it is put off."""

    verdict: Verdict
    stamp: datetime
    until: datetime | None = None


class Beginnings:
    """What wants to begin while a statement runs begins with the next. At most `limit` mails begin for one
    recipient within an hour, counting all processes."""

    def __init__(self, engine: AsyncEngine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._asking: asyncio.Task[None] | None = None
        # Mails that may be noted as begun, by this stamp, and of which this process knows that they were not.
        self._not_begun: dict[str, datetime] = {}

    async def begin(self, key: str, recipient: bytes) -> Answer:
        """Whether the mail may go out; `begun` is committed. Raises when that could not be found out: then
        it must not go out, and may be tried again."""
        asked = Asked(key, recipient, self._not_begun.get(key) or datetime.now(UTC))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), context=without_trace())
        try:
            found = await asyncio.shield(answer)
        except BaseException:
            self._not_begun[key] = asked.stamp
            raise
        self._not_begun.pop(key, None)
        return found

    async def withdraw(self, key: str, stamp: datetime) -> None:
        """The server has said that it does not have the mail: it may begin again."""
        self._not_begun[key] = stamp
        await fetch(self._engine, _WITHDRAW, key, stamp)
        del self._not_begun[key]

    async def has_begun(self, key: str) -> bool:
        """Whether somebody began it who never learnt the outcome."""
        return bool(await fetch(self._engine, _BEGUN, key, self._not_begun.get(key, _NEVER)))

    async def _ask(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                found = await self._begin([asked for asked, _ in batch])
            except Exception as error:
                for _, answer in batch:
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may have been cancelled
            else:
                for asked, answer in batch:
                    answer.set_result(found.get(asked.key) or Answer("gone", asked.stamp))
        self._asking = None

    def _next_batch(self) -> list[tuple[Asked, asyncio.Future[Answer]]]:
        """One mail for each recipient: a row changes once in a statement."""
        batch: dict[bytes, tuple[Asked, asyncio.Future[Answer]]] = {}
        self._waiting = [one for one in self._waiting if batch.setdefault(one[0].recipient, one) is not one]
        return list(batch.values())

    async def _begin(self, asked: Sequence[Asked]) -> dict[str, Answer]:
        rows = await fetch(
            self._engine,
            _BEGIN,
            [one.key for one in asked],
            [one.recipient for one in asked],
            [one.stamp for one in asked],
            self._limit,
        )
        stamps = {one.key: one.stamp for one in asked}
        return {row["key"]: Answer(row["verdict"], stamps[row["key"]], row["until"]) for row in rows}


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
