"""Rows that have been kept long enough are deleted, in small batches: no table grows for ever.

Rows whose keys are UUIDs of version 7 are found by the primary key, which tells when each was made: no index
is needed for it. Other keys tell no time; such rows stay. Source: RFC 9562, section 5.7.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.jobs import Job
from chassis.storage.raw_sql import fetch

log = structlog.get_logger()

KeepDays = Annotated[int, Field(ge=0, le=36_500)]
"""A setting: days that rows are kept; 0 keeps them for ever."""

BATCH = 1000
EVERY_SECONDS = 3600

# Rows that somebody is at are left for the next round, and so is what a crash of the server undoes.
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
    """Which rows of a table are deleted: those made before a moment, if `where` holds of them too.

    Either `key` is a column of UUIDs of version 7, or `at` one of moments that has an index. `also` deletes
    what belongs to the rows, in the same statement: `DELETE FROM part USING gone WHERE part.thing = gone.id`.
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
        """Delete all that are due, `batch` rows a transaction. Returns how many rows went."""
        bound: Any = first_id(before) if self._by_key else before
        pruned, gone = 0, batch
        while gone == batch:
            [[gone]] = await fetch(engine, self._query, bound, batch)
            pruned += gone
        return pruned


def retention(engine: AsyncEngine, *rules: tuple[Rule, int]) -> Job:
    """Prunes by each rule what is older than so many days, about every hour; 0 days: never."""

    async def prune() -> None:
        for rule, days in rules:
            if days and (gone := await rule.prune(engine, datetime.now(UTC) - timedelta(days=days))):
                log.info("rows pruned", table=rule.table, rows=gone, kept_days=days)

    return Job("retention", EVERY_SECONDS, prune)


def first_id(moment: datetime) -> UUID:
    """The least UUID of version 7 of that moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62)
