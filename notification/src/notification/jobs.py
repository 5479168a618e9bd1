"""Periodic jobs: delete what is no longer needed."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.runtime.jobs import Job, Rule, retention
from notification.domain import UNDELIVERABLE
from notification.settings import Settings
from notification.store import HOUR

KEPT_MAILS = Rule("kept_mail", at="at")
CORRESPONDENCE = Rule("correspondence", at="begun_at")
ANONYMISED_MAILS = Rule(
    "kept_mail",
    at="at",
    where="""EXISTS (
        SELECT FROM correspondence WHERE anonymised
            AND correspondence.subject_id IN (kept_mail.subject_id, (payload->>'order_id')::uuid))""",
    also=f"""UPDATE correspondence SET letters = letters || unsent
        FROM (SELECT subject_id, jsonb_object_agg(reason, 'no_contact') AS unsent
            FROM gone WHERE fate IN {(*UNDELIVERABLE, "withheld")} GROUP BY subject_id) AS lost
        WHERE correspondence.subject_id = lost.subject_id""",  # noqa: S608
)
RECIPIENTS = Rule("recipient", at="mailed[cardinality(mailed)]")


def periodic(settings: Settings, engine: AsyncEngine) -> list[Job]:
    async def forget_recipients() -> None:
        """Delete the counts of recipients who had no mail within the hour."""
        await RECIPIENTS.prune(engine, datetime.now(UTC) - HOUR)

    async def delete_anonymised() -> None:
        """Delete kept mails to people whose personal data was erased, those about parts of an order too. What
        was not sent has no address to go to any more."""
        await ANONYMISED_MAILS.prune(engine, datetime.now(UTC))

    return [
        Job("forget recipients", 600, forget_recipients),
        Job("delete anonymised mails", 60, delete_anonymised),
        retention(
            engine,
            (KEPT_MAILS, settings.kept_mail_keep_days),
            (CORRESPONDENCE, settings.correspondence_keep_days),
        ),
    ]
