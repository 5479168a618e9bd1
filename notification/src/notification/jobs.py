"""Periodic jobs: delete what is no longer needed."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.jobs import Job, Rule, retention
from notification.settings import Settings
from notification.store import HOUR

KEPT_MAILS = Rule("kept_mail", at="at")
CORRESPONDENCE = Rule("correspondence", at="begun_at")
RECIPIENTS = Rule("recipient", at="mailed[cardinality(mailed)]")


def jobs(settings: Settings, engine: AsyncEngine) -> list[Job]:
    async def forget_recipients() -> None:
        """Delete the counts of recipients who had no mail within the hour."""
        await RECIPIENTS.prune(engine, datetime.now(UTC) - HOUR)

    return [
        Job("forget recipients", 600, forget_recipients),
        retention(
            engine,
            (KEPT_MAILS, settings.kept_mail_keep_days),
            (CORRESPONDENCE, settings.correspondence_keep_days),
        ),
    ]
