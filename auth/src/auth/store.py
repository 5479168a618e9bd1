"""Auth's SQL, beyond loading a row by its key."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from auth.domain import Account
from auth.tables import account, merged_guest
from auth.tables import session as sessions


@dataclass(frozen=True)
class Accounts:
    """Reads of accounts, each in a connection of its own."""

    engine: AsyncEngine

    async def by_email(self, email: str) -> Account | None:
        return await self._one(email=email)

    async def by_id(self, account_id: UUID) -> Account | None:
        return await self._one(account_id=account_id)

    async def _one(self, **key: object) -> Account | None:
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(account).filter_by(**key))
            found = rows.mappings().one_or_none()
        return None if found is None else Account(**found)


async def claim_guest(db: AsyncSession, guest_id: UUID, account_id: UUID, now: datetime) -> bool:
    """Returns whether this is the guest's first login: a guest is merged once, into one account."""
    claim = insert(merged_guest).values(guest_id=guest_id, account_id=account_id, merged_at=now)
    claimed = await db.execute(claim.on_conflict_do_nothing().returning(merged_guest.c.guest_id))
    return claimed.one_or_none() is not None


async def delete_expired(engine: AsyncEngine, now: datetime, guest_lifetime: timedelta) -> None:
    """Delete expired sessions, and merged guests whose tokens cannot be valid any more."""
    async with engine.begin() as connection:
        await connection.execute(delete(sessions).where(sessions.c.expires_at < now))
        await connection.execute(
            delete(merged_guest).where(merged_guest.c.merged_at < now - 2 * guest_lifetime)
        )
