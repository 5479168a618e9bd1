"""Kept mails to people whose personal data was erased are deleted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from chassis.storage.database import Transactions, connect
from contracts.testing import ORDER_ID
from notification.domain import Correspondence, KeptMail
from notification.jobs import ANONYMISED_MAILS

NOW = datetime.now(UTC)


PART, OTHER = uuid4(), uuid4()


def kept(reason: str, subject: UUID, fate: str = "rejected", **payload: Any) -> KeptMail:
    payload = {"contact": "encrypted", **payload}
    return KeptMail(f"{reason}:{subject}", reason, subject, payload, fate, None, NOW)


async def test_mails_about_an_anonymised_order_and_its_parts_are_deleted(
    migrated: Callable[[str], str],
) -> None:
    engine = connect(migrated("notification"), pool_size=2, statement_timeout=10)
    transactions = Transactions(engine, "notification", lease=0)
    fates = {"receipt": "sent", "cancellation": "in_doubt", "refund": "given_up"}
    async with transactions() as tx:
        tx.add(Correspondence(ORDER_ID, mails=fates, anonymised=True))
        tx.add(kept("receipt", ORDER_ID, "sent"))
        tx.add(kept("cancellation", ORDER_ID, "in_doubt"))
        tx.add(kept("refund", ORDER_ID, "given_up"))
        for subject, order_id in ((PART, ORDER_ID), (OTHER, uuid4())):
            tx.add(Correspondence(subject, mails={"refund": "rejected"}))
            tx.add(kept("refund", subject, order_id=str(order_id)))

    await ANONYMISED_MAILS.prune(engine, NOW + timedelta(seconds=1))

    async with transactions() as tx:
        keys = [f"{reason}:{subject}" for reason in fates for subject in (ORDER_ID, PART, OTHER)]
        assert list(await tx.get_many(KeptMail, keys)) == [f"refund:{OTHER}"]
        found = await tx.get_many(Correspondence, [ORDER_ID, PART, OTHER])
    unsent = {"cancellation": "no_contact", "refund": "no_contact"}
    assert found[ORDER_ID].mails == fates | unsent
    assert found[PART].mails == {"refund": "no_contact"}
    assert found[OTHER].mails == {"refund": "rejected"}
    await engine.dispose()
