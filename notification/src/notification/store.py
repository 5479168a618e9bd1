"""The send log: the start of a mail is committed before its data is handed over, its outcome when the server
has replied, so that both survive a crash.

One statement serves all mails that are ready to start. For each it finds whether its order was cancelled
meanwhile, whether it was started before and with what outcome, and whether its recipient has reached the
hourly limit; the others it records as started, and counts. The same statement records outcomes of other
mails.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

import notification.tables  # noqa: F401  maps the classes that the saga's steps load
from chassis.storage.raw_sql import fetch
from chassis.telemetry.logs import without_trace
from notification.domain import Outcome

HOUR = timedelta(hours=1)
START_WINDOW = 0.005
"""Seconds that a mail waits for others to start with it: by then each free connection has one ready."""
FINISH_WINDOW = 0.02
"""Seconds that an outcome waits for another mail to start, so that one statement records both."""
IN_DOUBT = Outcome("in_doubt", "the process ended before the mail server's reply was recorded")

_START = """
    WITH finished AS (
        UPDATE intent SET outcome = mail.outcome::jsonb
        FROM unnest($5::text[], $6::timestamptz[], $7::text[]) AS mail (key, stamp, outcome)
        WHERE intent.key = mail.key AND started_at = mail.stamp
    ), requested AS (
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) AS requested (key, recipient, stamp)
    ), checked AS (
        SELECT requested.*, intent.outcome,
               CASE WHEN intent.started_at <> requested.stamp THEN 'finished'
                    WHEN intent.kind = 'receipt' AND correspondence.cancelled THEN 'stopped'
               END AS verdict
        FROM requested JOIN intent USING (key)
        LEFT JOIN correspondence ON correspondence.subject_id = intent.subject
        ORDER BY key FOR UPDATE OF intent
    ), counted AS (
        INSERT INTO recipient AS r (hash, mailed)
        SELECT recipient, ARRAY[now()] FROM checked WHERE verdict IS NULL ORDER BY recipient
        ON CONFLICT (hash) DO UPDATE
            SET mailed = (r.mailed || now())[greatest(1, cardinality(r.mailed) + 2 - $4):]
            WHERE coalesce(r.mailed[cardinality(r.mailed) + 1 - $4] <= now() - interval '1 hour', true)
        RETURNING hash
    ), started AS (
        UPDATE intent SET started_at = checked.stamp FROM checked JOIN counted ON hash = recipient
        WHERE intent.key = checked.key AND verdict IS NULL
        RETURNING intent.key
    )
    SELECT key, coalesce(verdict, CASE WHEN started.key IS NULL THEN 'put_off' ELSE 'started' END) AS verdict,
           CASE WHEN verdict IS NULL AND started.key IS NULL THEN (
               SELECT mailed[cardinality(mailed) + 1 - $4] + interval '1 hour'
               FROM recipient WHERE hash = checked.recipient) END AS until,
           outcome::text
    FROM checked LEFT JOIN started USING (key)
"""
_UNDO_START = "UPDATE intent SET started_at = NULL WHERE key = $1 AND started_at = $2"
_OUTCOME = "SELECT outcome::text FROM intent WHERE key = $1 AND started_at <> $2"
_NEVER = datetime(1, 1, 1, tzinfo=UTC)

Verdict = Literal["started", "finished", "stopped", "put_off", "gone"]


@dataclass(frozen=True)
class StartRequest:
    """A mail that is ready to start; by `stamp` its process recognises its own start."""

    key: str
    recipient: bytes
    stamp: datetime


@dataclass(frozen=True)
class Finished:
    """A mail that this process started, with `stamp`, and its outcome."""

    key: str
    stamp: datetime
    outcome: Outcome


@dataclass(frozen=True)
class StartResult:
    """Whether a mail may be sent. `put_off` at the hourly limit: `until` says when the recipient may get mail
    again. `finished` if it was started before: `outcome` says how that ended."""

    verdict: Verdict
    stamp: datetime
    until: datetime | None = None
    outcome: Outcome | None = None


class SendLog:
    """Records starts and outcomes, those of about the same time with one statement. At most `limit` mails
    start for one recipient within an hour, in all processes together."""

    def __init__(self, engine: AsyncEngine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._waiting: list[tuple[StartRequest, asyncio.Future[StartResult]]] = []
        self._finished: list[tuple[Finished, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Mails that may be recorded as started, with this stamp, although this process knows that they were
        # not.
        self._not_started: dict[str, datetime] = {}

    async def start(self, key: str, recipient: bytes) -> StartResult:
        """Whether the mail may be sent; `started` is committed. Raises when the database fails: then the mail
        must not be sent, and may be tried again."""
        request = StartRequest(key, recipient, self._not_started.get(key) or datetime.now(UTC))
        answer: asyncio.Future[StartResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        self._flush_now()
        try:
            result = await asyncio.shield(answer)
        except BaseException:
            self._not_started[key] = request.stamp
            raise
        self._not_started.pop(key, None)
        return result

    async def finish(self, key: str, stamp: datetime, outcome: Outcome) -> None:
        """Record the outcome of a mail that was started with `stamp`. Raises when the database fails."""
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._finished.append((Finished(key, stamp, outcome), recorded))
        self._flush_soon()
        await asyncio.shield(recorded)

    async def undo_start(self, key: str, stamp: datetime) -> None:
        """The server has not accepted the mail: it may start again."""
        self._not_started[key] = stamp
        await fetch(self._engine, _UNDO_START, key, stamp)
        del self._not_started[key]

    async def outcome_of(self, key: str) -> Outcome | None:
        """The outcome of a mail that any process has started, `IN_DOUBT` if none is recorded; None if not
        started."""
        rows = await fetch(self._engine, _OUTCOME, key, self._not_started.get(key, _NEVER))
        return _outcome(rows[0]["outcome"]) if rows else None

    def _flush_soon(self) -> None:
        if self._task is None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FINISH_WINDOW, self._flush_now)

    def _flush_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self._task = asyncio.create_task(self._flush(), context=without_trace())

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(START_WINDOW)
            starts, self._finished, finished = self._next_batch(), [], self._finished
            try:
                results = await self._record([request for request, _ in starts], [one for one, _ in finished])
            except Exception as error:
                _fail([answer for _, answer in starts], error)
                _fail([recorded for _, recorded in finished], error)
            else:
                for request, answer in starts:
                    answer.set_result(results.get(request.key) or StartResult("gone", request.stamp))
                for _, recorded in finished:
                    recorded.set_result(None)
            if not self._waiting:
                break
        self._task = None
        if self._finished:
            self._flush_soon()

    def _next_batch(self) -> list[tuple[StartRequest, asyncio.Future[StartResult]]]:
        """At most one mail for each recipient: a statement can update a row only once."""
        batch: dict[bytes, tuple[StartRequest, asyncio.Future[StartResult]]] = {}
        self._waiting = [one for one in self._waiting if batch.setdefault(one[0].recipient, one) is not one]
        return list(batch.values())

    async def _record(
        self, requests: Sequence[StartRequest], finished: Sequence[Finished]
    ) -> dict[str, StartResult]:
        rows = await fetch(
            self._engine,
            _START,
            [one.key for one in requests],
            [one.recipient for one in requests],
            [one.stamp for one in requests],
            self._limit,
            [one.key for one in finished],
            [one.stamp for one in finished],
            [json.dumps({"fate": one.outcome.fate, "why": one.outcome.why}) for one in finished],
        )
        stamps = {one.key: one.stamp for one in requests}
        return {row["key"]: _start_result(row, stamps[row["key"]]) for row in rows}


def _fail(waiting: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    for one in waiting:
        one.set_exception(error)
        one.exception()  # marks it as retrieved: the caller may have been cancelled


def _start_result(row: Any, stamp: datetime) -> StartResult:
    outcome = _outcome(row["outcome"]) if row["verdict"] == "finished" else None
    return StartResult(row["verdict"], stamp, row["until"], outcome)


def _outcome(recorded: str | None) -> Outcome:
    return IN_DOUBT if recorded is None else Outcome(**json.loads(recorded))
