"""Job jobs: delete expired sessions, merged guests and counts of attempts."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from auth import store
from chassis.runtime.jobs import Job
from chassis.storage.attempts import Attempts


def periodic(engine: AsyncEngine, attempts: Attempts, guest_lifetime: timedelta) -> list[Job]:
    async def delete_expired() -> None:
        await store.delete_expired(engine, datetime.now(UTC), guest_lifetime)

    return [
        Job("delete expired sessions", 600, delete_expired),
        Job("delete expired attempts", 60, attempts.forget),
    ]
