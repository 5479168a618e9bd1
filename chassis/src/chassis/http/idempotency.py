"""Makes requests idempotent by the Idempotency-Key header: a repeat with the same key has no second effect
and gets the stored response.

A request first claims its key. It settles the claim by storing its response, in the same transaction as its
effects. A request that fails releases its claim, so that it can be repeated with the same key.

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
from chassis.storage.raw_sql import Part, fetch

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')


def parse_key(value: str) -> str:
    """The key in a header value, which is a quoted string (RFC 9651) or the bare key. Raises ValueError."""
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
"""The type of a route's parameter for the key; 400 if it is missing or malformed."""


def idempotency_table(metadata: MetaData) -> Table:
    """Define the table of keys in the service's metadata."""
    created_at = Column("created_at", DateTime(timezone=True), nullable=False)
    return Table(
        "idempotency_keys",
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
        Index("ix_idempotency_keys_created_at", created_at),
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
    """This request took longer than its lock, and a repeat of it has claimed the key."""

    type = "/problems/idempotency-claim-lost"
    title = "A repeat of this request has taken over"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The response to the first request."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def replay(self) -> Response:
        """The same response again, marked as a replay."""
        return Response(self.body, self.status, {**self.headers, "Idempotent-Replayed": "true"})


@dataclass(slots=True)
class KeyClaim:
    """A request's claim on its key.

    `stored`: the response to an earlier request with this key, to be replayed; `None` if this request is the
        first and has to be carried out.
    `settled`: whether this request's response is stored.
    """

    stored: StoredResponse | None
    _row: Mapping[str, Any]
    settled: bool = False

    async def settle(
        self,
        session: AsyncSession | AsyncConnection,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Store the response in the caller's transaction. Raises ClaimLost if a repeat has the key."""
        statement = text(_SETTLE.format(given="", when="true"))
        stored = await session.execute(statement, self._values(status, body, headers))
        if stored.first() is None:
            raise self.lost()
        self.settled = True

    def settling(
        self, status: int, body: bytes, headers: Mapping[str, str], *, given: str, when: str
    ) -> Part:
        """A part of a composed statement (see `chassis.storage.raw_sql`), which settles the claim in the
        statement that has the request's effects: store the response if the SQL condition `when` holds for the
        row of the part `given`. It returns no row if the condition does not hold, or if a repeat has claimed
        the key."""
        sql = _SETTLE.format(given=f"FROM {given}", when=when)
        return Part("settled", sql, self._values(status, body, headers), self._note_settled)

    def lost(self) -> ClaimLost:
        """The error to raise when a repeat has claimed the key."""
        return ClaimLost("This request took too long.", headers={"Retry-After": "1"})

    def _values(self, status: int, body: bytes, headers: Mapping[str, str] | None) -> dict[str, Any]:
        response = {"status": status, "body": body, "headers": orjson.dumps(headers or {}).decode()}
        return {**self._row, **response}

    def _note_settled(self) -> None:
        self.settled = True


class IdempotencyKeys:
    """One service's idempotency keys, in the table of `idempotency_table`.

    `keep`: how long a stored response is replayed.
    `lock`: how long a request may take; after that, a repeat may claim its key.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        keep: timedelta = timedelta(hours=24),
        lock: timedelta = timedelta(seconds=60),
    ) -> None:
        self._engine = engine
        self._keep = keep
        self._lock = lock

    @asynccontextmanager
    async def claim(self, owner: UUID, key: str, payload: bytes) -> AsyncIterator[KeyClaim]:
        """Claim the key for the block. The claim is released at the end unless the block has settled it.

        `owner`: the caller's account; different callers' keys are independent.
        `payload`: all content of the request: the same key with another payload is an error.

        Raises KeyReused (422) if the key was used with another payload, KeyInUse (409) while the first
        request runs, Unavailable (503) when the database does not answer.
        """
        row = {"owner": owner, "key": key, "claim": uuid4()}
        stored = await self._take(row, hashlib.sha256(payload).digest())
        claim = KeyClaim(stored, row)
        committed = False  # if the block raises, its transaction may have been rolled back after `settle`
        try:
            yield claim
            committed = claim.settled
        finally:
            if stored is None and not committed:
                await self._run(_RELEASE, row["owner"], row["key"], row["claim"])  # keeps a stored response

    async def prune(self, batch: int = 1000) -> None:
        """Delete all keys older than `keep`, `batch` per transaction."""
        pruned = batch
        while pruned == batch:
            pruned = (await self._run(_PURGE, self._keep, batch))["count"]

    async def _take(self, row: Mapping[str, Any], fingerprint: bytes) -> StoredResponse | None:
        for _ in range(3):
            claimed = (row["owner"], row["key"], row["claim"], fingerprint)
            if await self._run(_TAKE, *claimed, self._lock, self._keep):
                return None
            first = await self._run(_READ, row["owner"], row["key"])
            if first is None:
                continue  # the first request released its claim between the two statements
            if first["fingerprint"] != fingerprint:
                raise KeyReused("Use a new key for a new request.")
            if first["status"] is None:
                break
            return StoredResponse(first["status"], first["body"], orjson.loads(first["headers"]))
        raise KeyInUse("Repeat the request to get its response.", headers={"Retry-After": "1"})

    async def _run(self, sql: str, *values: Any) -> Any:
        rows = await fetch(self._engine, sql, *values)
        return rows[0] if rows else None


# `relaxed`: the commit does not wait for the disk. After a crash of the database a claim or its release may
# be lost, which does no harm: a lost claim has had no effects yet, and a lost release ends with the lock.
_TAKE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO idempotency_keys AS kept (owner, key, claim, fingerprint, locked_until, created_at)
    SELECT $1, $2, $3, $4, now() + $5::interval, now() FROM relaxed
    ON CONFLICT (owner, key) DO UPDATE SET
        claim = excluded.claim, fingerprint = excluded.fingerprint, locked_until = excluded.locked_until,
        created_at = excluded.created_at, status = NULL, body = NULL, headers = NULL
    WHERE (kept.status IS NULL AND kept.locked_until < now()) OR kept.created_at < now() - $6::interval
    RETURNING true"""
_READ = "SELECT fingerprint, status, body, headers::text FROM idempotency_keys WHERE owner = $1 AND key = $2"
_RELEASE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM idempotency_keys USING relaxed
    WHERE owner = $1 AND key = $2 AND claim = $3 AND status IS NULL"""
_PURGE = """
    WITH pruned AS (
        DELETE FROM idempotency_keys WHERE (owner, key) IN (
            SELECT owner, key FROM idempotency_keys WHERE created_at < now() - $1::interval
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING true)
    SELECT count(*) FROM pruned"""
_SETTLE = """
    UPDATE idempotency_keys AS kept
    SET status = :status, body = :body, headers = CAST(:headers AS jsonb) {given}
    WHERE owner = :owner AND key = :key AND claim = :claim AND kept.status IS NULL AND {when}
    RETURNING true"""
