"""Auth's SQL, beyond loading a row by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from auth.domain import Account, Purpose
from auth.tables import account, address, mailed_token, merged_guest
from auth.tables import session as sessions


@dataclass(frozen=True)
class Accounts:
    """Reads of accounts, each in a connection of its own."""

    engine: AsyncEngine

    async def by_email(self, email: str) -> Account | None:
        return await self._one(email=email)

    async def by_id(self, account_id: UUID) -> Account | None:
        return await self._one(account_id=account_id)

    async def sessions(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The account's sessions that are not over for so long that they were deleted, the newest first."""
        columns = (sessions.c[name] for name in ("started_at", "renewed_at", "expires_at", "ended_at"))
        query = select(*columns).filter_by(account_id=account_id).order_by(sessions.c.started_at.desc())
        return await self._rows(query)

    async def guests(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The guests who have become the account in the last days."""
        columns = (merged_guest.c.guest_id, merged_guest.c.merged_at)
        return await self._rows(select(*columns).filter_by(account_id=account_id))

    async def addresses(self, account_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The default first, then the one that was saved last."""
        return await self._rows(_addresses(account_id))

    async def of_token(self, token_hash: bytes, purpose: Purpose, now: datetime) -> Account | None:
        """The account that a token was mailed to, if it is still valid."""
        valid = mailed_token.c.expires_at > now
        to = select(mailed_token.c.account_id).filter_by(token_hash=token_hash, purpose=purpose).where(valid)
        return await self._one(account_id=to.scalar_subquery())

    async def _one(self, **key: object) -> Account | None:
        found = await self._rows(select(account).filter_by(**key))
        return Account(**found[0]) if found else None

    async def _rows(self, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
        async with self.engine.connect() as connection:
            rows: Sequence[Mapping[str, Any]] = (await connection.execute(query)).mappings().all()
        return rows


def _addresses(account_id: UUID) -> Select[Any]:
    latest_first = (address.c.is_default.desc(), address.c.saved_at.desc(), address.c.address_id)
    return select(address).filter_by(account_id=account_id).order_by(*latest_first)


async def addresses(db: AsyncSession, account_id: UUID) -> Sequence[Mapping[str, Any]]:
    """The default first, then the one that was saved last."""
    rows: Sequence[Mapping[str, Any]] = (await db.execute(_addresses(account_id))).mappings().all()
    return rows


async def put_address(db: AsyncSession, row: Mapping[str, Any]) -> None:
    """Create the address, or replace the one with this id."""
    key = (address.c.account_id, address.c.address_id)
    insertion = insert(address).values(row)
    await db.execute(insertion.on_conflict_do_update(index_elements=key, set_=dict(row)))


async def clear_default_address(db: AsyncSession, account_id: UUID) -> None:
    """Leave the account without a default address."""
    await db.execute(
        update(address).filter_by(account_id=account_id, is_default=True).values(is_default=False)
    )


async def delete_address(db: AsyncSession, account_id: UUID, address_id: UUID) -> None:
    """Delete the address, if it is there."""
    await db.execute(delete(address).filter_by(account_id=account_id, address_id=address_id))


async def claim_guest(db: AsyncSession, guest_id: UUID, account_id: UUID, now: datetime) -> bool:
    """Returns whether this is the guest's first login: a guest is merged once, into one account."""
    claim = insert(merged_guest).values(guest_id=guest_id, account_id=account_id, merged_at=now)
    claimed = await db.execute(claim.on_conflict_do_nothing().returning(merged_guest.c.guest_id))
    return claimed.one_or_none() is not None


async def end_sessions(db: AsyncSession, account_id: UUID, now: datetime, *, but: UUID | None = None) -> None:
    """End all sessions of the account, but one if it is given."""
    running = update(sessions).where(sessions.c.account_id == account_id, sessions.c.ended_at.is_(None))
    await db.execute(running.where(sessions.c.session_id.is_distinct_from(but)).values(ended_at=now))


async def delete_tokens(db: AsyncSession, account_id: UUID, purpose: Purpose) -> None:
    """Delete all tokens that were mailed to the account for this purpose."""
    await db.execute(delete(mailed_token).filter_by(account_id=account_id, purpose=purpose))


async def delete_expired(engine: AsyncEngine, now: datetime, guest_lifetime: timedelta) -> None:
    """Delete expired sessions and mailed tokens, and merged guests whose tokens cannot be valid any more."""
    async with engine.begin() as connection:
        await connection.execute(delete(sessions).where(sessions.c.expires_at < now))
        await connection.execute(delete(mailed_token).where(mailed_token.c.expires_at < now))
        await connection.execute(
            delete(merged_guest).where(merged_guest.c.merged_at < now - 2 * guest_lifetime)
        )
