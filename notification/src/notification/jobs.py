"""Periodic jobs: delete what is no longer needed."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.jobs import Job, Rule, retention
from notification.store import HOUR

KEPT_MAILS = Rule("kept_mail", at="at")
CORRESPONDENCE = Rule("correspondence", at="begun_at")
RECIPIENTS = Rule("recipient", at="mailed[cardinality(mailed)]")


def jobs(engine: AsyncEngine, *, kept_mail_days: int, correspondence_days: int) -> list[Job]:
    """`kept_mail_days`, `correspondence_days`: how long these are kept; 0 for ever."""

    async def forget_recipients() -> None:
        """Delete the counts of recipients who had no mail within the hour."""
        await RECIPIENTS.prune(engine, datetime.now(UTC) - HOUR)

    return [
        Job("forget recipients", 600, forget_recipients),
        retention(engine, (KEPT_MAILS, kept_mail_days), (CORRESPONDENCE, correspondence_days)),
    ]
