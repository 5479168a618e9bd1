"""A request that is sent twice is carried out once: the Idempotency-Key header, kept in the owner's database.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import orjson
from fastapi import Header, Response
from pydantic import AfterValidator
from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from chassis.problems import Conflict, Unprocessable

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')


def parse_key(value: str) -> str:
    """The key in a header value: a quoted string (RFC 9651) or bare. Raises ValueError."""
    quoted = _QUOTED.fullmatch(value)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if not _VISIBLE.fullmatch(key):
        raise ValueError("must be 1 to 255 visible ASCII characters")
    return key


IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="Makes a retry safe: the same key and request are carried out once.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
    AfterValidator(parse_key),
]
"""The caller's key as a parameter; 400 where it is missing or malformed."""


def idempotency_table(metadata: MetaData, name: str = "idempotency_keys") -> Table:
    """The table that a service's migrations create for its keys."""
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


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What the first request was answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def response(self) -> Response:
        """The same answer again, marked as such."""
        return Response(self.body, self.status, {**self.headers, "Idempotent-Replayed": "true"})


class InUse(Conflict):
    """409: the first request with this key is still running."""

    type = "/problems/idempotency-key-in-use"
    title = "The first request is still running"


class Reused(Unprocessable):
    """422: the key was used for another request."""

    type = "/problems/idempotency-key-reused"
    title = "Idempotency key used before"


class ClaimLost(Conflict):
    """409: this request took longer than its lock, and a repeat of it has taken over."""

    type = "/problems/idempotency-claim-lost"
    title = "A repeat of this request has taken over"


@dataclass(slots=True)
class Claim:
    """The right to carry a request out, or, where `stored` is set, what came of it before."""

    owner: UUID
    key: str
    stored: StoredResponse | None
    _token: UUID
    _settle: str
    _settled: bool = field(default=False)

    async def settle(
        self,
        session: AsyncSession | AsyncConnection,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the response in the caller's own transaction. Raises ClaimLost if it is not ours any more."""
        values = {"owner": self.owner, "key": self.key, "claim": self._token, "status": status, "body": body}
        values["headers"] = orjson.dumps(headers or {}).decode()
        settled: Any = await session.execute(text(self._settle), values)
        if settled.rowcount != 1:
            raise ClaimLost("Another request with this key took over meanwhile.")
        self._settled = True


class IdempotencyKeys:
    """The keys of one service: a response is replayed for `keep`, a request may take as long as `lock`."""

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        *,
        keep: timedelta = timedelta(hours=24),
        lock: timedelta = timedelta(seconds=60),
    ) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._keep = keep
        self._lock = lock
        self._sql = {name: sql.format(table=table.name) for name, sql in _SQL.items()}

    @asynccontextmanager
    async def claim(self, owner: UUID, key: str, payload: bytes) -> AsyncIterator[Claim]:
        """Claim the key for this payload. Leaving the block without `settle` gives the key back.

        Raises Reused (422) when the key stands for another payload, InUse (409) while the first one runs.
        """
        token = uuid4()
        stored = await self._take(owner, key, hashlib.sha256(payload).digest(), token)
        claim = Claim(owner, key, stored, token, self._sql["settle"])
        if stored is not None:
            yield claim
            return
        finished = False
        try:
            yield claim
            finished = claim._settled
        finally:
            if not finished:
                await self._run("release", owner=owner, key=key, claim=token)

    async def purge(self, limit: int = 1000) -> int:
        """Forget up to `limit` keys older than `keep`. Returns how many."""
        return int((await self._run("purge", keep=self._keep, limit=limit)).rowcount)

    async def _take(self, owner: UUID, key: str, fingerprint: bytes, token: UUID) -> StoredResponse | None:
        for _ in range(3):
            taken = await self._run(
                "take",
                owner=owner,
                key=key,
                fingerprint=fingerprint,
                claim=token,
                lock=self._lock,
                keep=self._keep,
            )
            if taken.rowcount == 1:
                return None
            row = (await self._run("read", owner=owner, key=key)).first()
            if row is None:
                continue  # given back between the two statements
            if bytes(row.fingerprint) != fingerprint:
                raise Reused("This key was used for another request.")
            if row.status is not None:
                return StoredResponse(row.status, row.body, row.headers)
            break
        raise InUse("Wait for its answer, or ask again.", headers={"Retry-After": "1"})

    async def _run(self, name: str, **values: Any) -> Any:
        async with self._engine.connect() as connection:
            return await connection.execute(text(self._sql[name]), values)


# A claim that a crash of the database loses does no harm, so it need not wait for the disk.
_SQL = {
    "take": """
        WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
        INSERT INTO {table} AS kept (owner, key, fingerprint, claim, locked_until, created_at)
        SELECT :owner, :key, :fingerprint, :claim, now() + :lock, now() FROM relaxed
        ON CONFLICT (owner, key) DO UPDATE SET
            fingerprint = excluded.fingerprint, claim = excluded.claim,
            locked_until = excluded.locked_until, created_at = excluded.created_at,
            status = NULL, body = NULL, headers = NULL
        WHERE (kept.status IS NULL AND kept.locked_until < now()) OR kept.created_at < now() - :keep""",
    "read": "SELECT fingerprint, status, body, headers FROM {table} WHERE owner = :owner AND key = :key",
    "settle": """
        UPDATE {table} SET status = :status, body = :body, headers = CAST(:headers AS jsonb)
        WHERE owner = :owner AND key = :key AND claim = :claim AND status IS NULL""",
    "release": """
        DELETE FROM {table} WHERE owner = :owner AND key = :key AND claim = :claim AND status IS NULL""",
    "purge": """
        DELETE FROM {table} WHERE (owner, key) IN (
            SELECT owner, key FROM {table} WHERE created_at < now() - :keep
            ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)""",
}
