"""The periodic job: delete old mails."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from notification import store


class Retention:
    """Deletes what is no longer needed, in batches. 0 days keep for ever."""

    def __init__(self, engine: AsyncEngine, *, kept_mail_days: int, correspondence_days: int) -> None:
        self._engine = engine
        self._kept_mail_days = kept_mail_days
        self._correspondence_days = correspondence_days

    async def delete_old(self) -> None:
        """Delete recipients' counts, kept mails and correspondence that are old enough."""
        now = datetime.now(UTC)
        await store.delete_recipients(self._engine)
        if self._kept_mail_days:
            await store.delete_kept_mails(self._engine, now - timedelta(days=self._kept_mail_days))
        if self._correspondence_days:
            await store.delete_correspondence(self._engine, now - timedelta(days=self._correspondence_days))
