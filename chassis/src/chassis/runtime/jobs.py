"""Periodic jobs, such as deadlines and purges: each runs one round at a time, with jitter; no error ends it.

The chassis' own job is retention: it deletes old rows in small batches, so that no table grows for ever. A
UUID of version 7 contains the time when it was made. Rows with such keys are found by their primary key and
need no other index; rows whose keys are other UUIDs are kept. Source: RFC 9562, section 5.7.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage.raw_sql import fetch

log = structlog.get_logger()

KeepDays = Annotated[int, Field(ge=0, le=36_500)]
"""A setting: days that rows are kept; 0 keeps them for ever."""

BATCH = 1000
EVERY_SECONDS = 3600


@dataclass(frozen=True)
class Job:
    """Work that is repeated; a round that fails is logged, and the next one runs as usual.

    `every`: seconds between two rounds, give or take a fifth.
    `work`: one round.
    """

    name: str
    every: float
    work: Callable[[], Awaitable[None]]

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.every * random.uniform(0.8, 1.2))
            try:
                await self.work()
            except Exception:
                log.exception("periodic work failed", name=self.name)


# Locked rows are left to the next round. `relaxed`: the commit does not wait for the disk; after a crash of
# the database, the next round deletes the rows again.
_PRUNE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true)), gone AS (
        DELETE FROM {table} USING relaxed WHERE {table}.ctid = ANY(ARRAY(
            SELECT ctid FROM {table} WHERE {due} ORDER BY {sort} LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING {table}.*
    ){also}
    SELECT count(*) FROM gone
"""
_OLD_KEY = "{key} < $1 AND substr({key}::text, 15, 1) = '7'"


class Rule:
    """Which rows of a table are deleted when they are old.

    `key`: a column of UUIDs of version 7, of which the time is a row's age; or instead
    `at`: an indexed column of timestamps.
    `where`: a further SQL condition.
    `also`: SQL that deletes dependent rows in the same statement, in which `gone` holds the deleted rows:
        `DELETE FROM part USING gone WHERE part.thing = gone.id`.
    """

    def __init__(
        self, table: str, *, key: str = "", at: str = "", where: str = "true", also: str = ""
    ) -> None:
        self.table = table
        self._by_key = bool(key)
        due = _OLD_KEY.format(key=key) if key else f"{at} < $1"
        self._query = _PRUNE.format(
            table=table,
            due=f"{due} AND ({where})",
            sort=key or at,
            also=f", also AS ({also})" if also else "",
        )

    async def prune(self, engine: AsyncEngine, before: datetime, *, batch: int = BATCH) -> int:
        """Delete all such rows older than `before`, `batch` rows per transaction. Returns how many."""
        bound: Any = first_id(before) if self._by_key else before
        pruned, gone = 0, batch
        while gone == batch:
            [[gone]] = await fetch(engine, self._query, bound, batch)
            pruned += gone
        return pruned


def retention(engine: AsyncEngine, *rules: tuple[Rule, int]) -> Job:
    """A job that prunes by each rule the rows older than so many days, about once an hour; 0 days: never."""

    async def prune() -> None:
        for rule, days in rules:
            if days and (gone := await rule.prune(engine, datetime.now(UTC) - timedelta(days=days))):
                log.info("rows pruned", table=rule.table, rows=gone, kept_days=days)

    return Job("retention", EVERY_SECONDS, prune)


def first_id(moment: datetime) -> UUID:
    """The smallest UUID of version 7 with this time."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62)
