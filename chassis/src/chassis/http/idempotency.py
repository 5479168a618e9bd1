"""A request that is sent twice is carried out once: the Idempotency-Key header, kept in the owner's database.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import Header, Response
from pydantic import AfterValidator
from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.sql import text

from chassis.http.problems import Conflict, Unprocessable
from chassis.storage.composed import Part
from chassis.storage.raw_sql import fetch

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')


def parse_key(value: str) -> str:
    """The key in a header value, a quoted string (RFC 9651) or bare. Raises ValueError."""
    quoted = _QUOTED.fullmatch(value)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if not _VISIBLE.fullmatch(key):
        raise ValueError("must be 1 to 255 visible ASCII characters")
    return key


IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="Makes a repeat safe: what is sent again with the same key is carried out once.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
    AfterValidator(parse_key),
]
"""The caller's key as a route's parameter; 400 where it is missing or malformed."""


def idempotency_table(metadata: MetaData, name: str = "idempotency_keys") -> Table:
    """Define the keys' table in the service's metadata."""
    created_at = Column("created_at", DateTime(timezone=True), nullable=False)
    return Table(
        name,
        metadata,
        Column("owner", Uuid, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("claim", Uuid, nullable=False),
        Column("status", Integer),
        Column("body", LargeBinary),
        Column("headers", JSONB),
        Column("locked_until", DateTime(timezone=True), nullable=False),
        created_at,
        Index(f"ix_{name}_created_at", created_at),
    )


class KeyInUse(Conflict):
    """The first request with this key is still running."""

    type = "/problems/idempotency-key-in-use"
    title = "The first request with this key is still running"


class KeyReused(Unprocessable):
    """The key was used for another request."""

    type = "/problems/idempotency-key-reused"
    title = "This key was used for another request"


class ClaimLost(Conflict):
    """This request outlasted its lock, and a repeat of it has taken over."""

    type = "/problems/idempotency-claim-lost"
    title = "A repeat of this request has taken over"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What the first request was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def replay(self) -> Response:
        """The same answer again, marked as such."""
        return Response(self.body, self.status, {**self.headers, "Idempotent-Replayed": "true"})


@dataclass(slots=True)
class Claim:
    """The right to carry a request out or, where `stored` is set, what came of it before.

    `settled` tells whether the response was kept.
    """

    stored: StoredResponse | None
    _row: Mapping[str, Any]
    _table: str
    settled: bool = False

    async def settle(
        self,
        session: AsyncSession | AsyncConnection,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the response, in the caller's own transaction. Raises ClaimLost if a repeat took over."""
        statement = text(_SETTLE.format(table=self._table))
        kept = await session.execute(statement, self._values(status, body, headers))
        if kept.first() is None:
            raise self.lost()
        self.settled = True

    def settling(
        self, status: int, body: bytes, headers: Mapping[str, str], *, given: str, when: str
    ) -> Part:
        """Of a composed statement: keep the response, where `when` holds of the part `given`. Without a row
        of it, either `when` did not hold or the claim is `lost`."""
        sql = _SETTLE_WHEN.format(table=self._table, given=given, when=when)
        return Part("settled", sql, self._values(status, body, headers), self._note_settled)

    def lost(self) -> ClaimLost:
        """What to raise when a repeat took over."""
        return ClaimLost("This request took too long.", headers={"Retry-After": "1"})

    def _values(self, status: int, body: bytes, headers: Mapping[str, str] | None) -> dict[str, Any]:
        answer = {"status": status, "body": body, "headers": orjson.dumps(headers or {}).decode()}
        return {**self._row, **answer}

    def _note_settled(self) -> None:
        self.settled = True


class IdempotencyKeys:
    """One service's keys: a response is replayed for `keep`, a request may take as long as `lock`."""

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        *,
        keep: timedelta = timedelta(hours=24),
        lock: timedelta = timedelta(seconds=60),
    ) -> None:
        self._engine = engine
        self._table = table.name
        self._keep = keep
        self._lock = lock

    @asynccontextmanager
    async def claim(self, owner: UUID, key: str, payload: bytes) -> AsyncIterator[Claim]:
        """Claim the key for this payload; a block that is left without `settle` gives it back.

        `payload` is all that makes the request what it is. Raises KeyReused (422) if the key stands for
        another payload, KeyInUse (409) while the first request runs, Unavailable (503).
        """
        row = {"owner": owner, "key": key, "claim": uuid4()}
        stored = await self._take(row, hashlib.sha256(payload).digest())
        claim = Claim(stored, row, self._table)
        finished = False
        try:
            yield claim
            finished = claim.settled
        finally:
            if stored is None and not finished:
                await self._run(_RELEASE, *row.values())

    async def purge(self, limit: int = 1000) -> int:
        """Forget up to `limit` keys older than `keep`. Returns how many."""
        purged = await self._run(_PURGE, self._keep, limit)
        return int(purged["count"])

    async def _take(self, row: Mapping[str, Any], fingerprint: bytes) -> StoredResponse | None:
        for _ in range(3):
            if await self._run(_TAKE, *row.values(), fingerprint, self._lock, self._keep):
                return None
            found = await self._run(_READ, row["owner"], row["key"])
            if found is None:
                continue  # given back between the two statements
            if found["fingerprint"] != fingerprint:
                raise KeyReused("Use a new key for a new request.")
            if found["status"] is None:
                break
            return StoredResponse(found["status"], found["body"], orjson.loads(found["headers"]))
        raise KeyInUse("Ask again for its answer.", headers={"Retry-After": "1"})

    async def _run(self, sql: str, *values: Any) -> Any:
        rows = await fetch(self._engine, sql.format(table=self._table), *values)
        return rows[0] if rows else None


# A claim, or its end, that is lost when the database crashes does no harm: it does not wait for the disk.
_TAKE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO {table} AS kept (owner, key, claim, fingerprint, locked_until, created_at)
    SELECT $1, $2, $3, $4, now() + $5::interval, now() FROM relaxed
    ON CONFLICT (owner, key) DO UPDATE SET
        claim = excluded.claim, fingerprint = excluded.fingerprint, locked_until = excluded.locked_until,
        created_at = excluded.created_at, status = NULL, body = NULL, headers = NULL
    WHERE (kept.status IS NULL AND kept.locked_until < now()) OR kept.created_at < now() - $6::interval
    RETURNING true"""
_READ = "SELECT fingerprint, status, body, headers::text FROM {table} WHERE owner = $1 AND key = $2"
_RELEASE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM {table} USING relaxed WHERE owner = $1 AND key = $2 AND claim = $3 AND status IS NULL"""
_PURGE = """
    WITH purged AS (
        DELETE FROM {table} WHERE (owner, key) IN (
            SELECT owner, key FROM {table} WHERE created_at < now() - $1::interval
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING true)
    SELECT count(*) FROM purged"""
_SETTLE = """
    UPDATE {table} SET status = :status, body = :body, headers = CAST(:headers AS jsonb)
    WHERE owner = :owner AND key = :key AND claim = :claim AND status IS NULL
    RETURNING true"""
_SETTLE_WHEN = """
    UPDATE {table} AS kept SET status = :status, body = :body, headers = :headers::jsonb FROM {given}
    WHERE owner = :owner AND key = :key AND claim = :claim AND kept.status IS NULL AND {when}
    RETURNING true"""
