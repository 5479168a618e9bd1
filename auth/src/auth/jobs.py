"""Periodic jobs: delete expired sessions, merged guests and counts of attempts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from auth import store
from auth.settings import Settings
from chassis.runtime.jobs import Job
from chassis.storage.attempts import Attempts


def periodic(settings: Settings, engine: AsyncEngine, attempts: Attempts) -> Sequence[Job]:
    async def delete_expired() -> None:
        await store.delete_expired(engine, datetime.now(UTC), timedelta(seconds=settings.guest_seconds))

    return [
        Job("delete expired sessions", 600, delete_expired),
        Job("delete expired attempts", 60, attempts.prune),
    ]
