"""Periodic jobs: delete expired sessions, merged guests and counts of attempts."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from auth import store
from chassis.runtime.periodic import Periodic
from chassis.storage.attempts import Attempts


def periodic(engine: AsyncEngine, attempts: Attempts, guest_lifetime: timedelta) -> list[Periodic]:
    async def delete_expired() -> None:
        await store.delete_expired(engine, datetime.now(UTC), guest_lifetime)

    return [
        Periodic("delete expired sessions", 600, delete_expired),
        Periodic("delete expired attempts", 60, attempts.forget),
    ]
