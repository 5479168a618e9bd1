"""What comes round: refused refunds are asked for again, and payments that do not end are reported."""

from datetime import timedelta

import structlog

from chassis.database import Transactions
from chassis.periodic import Periodic
from payment import calls, store
from payment.domain import Payment
from payment.settings import Settings

log = structlog.get_logger()


def periodic(settings: Settings, transactions: Transactions) -> list[Periodic]:
    """Payment's sweeps."""
    engine, keep = transactions.engine, timedelta(days=settings.webhook_keep_days)

    async def refund() -> None:
        await refund_again(transactions, settings.refund_attempts)

    async def report() -> None:
        await report_overdue(transactions, timedelta(seconds=settings.overdue_after))

    async def forget() -> None:
        await store.forget_webhooks(engine, keep)

    return [
        Periodic("refund again", settings.sweep_every, refund),
        Periodic("report overdue", settings.sweep_every, report),
        Periodic("forget webhooks", 3600, forget),
    ]


async def refund_again(transactions: Transactions, attempts: int) -> None:
    """Ask once more for the refunds that are due; after `attempts` refusals somebody has to look."""
    for order_id in await store.refundable(transactions.engine, attempts):
        async with transactions() as tx:
            payment = await tx.get(Payment, order_id)
            if payment is not None and (follows := payment.refund_again()).call is not None:
                tx.intend(calls.intent(follows.call, payment, tx.now))


async def report_overdue(transactions: Transactions, age: timedelta) -> None:
    """Log every payment that is still open after `age`: the row says where it stands, its intent why."""
    for one in await store.overdue(transactions.engine, age):
        log.error("payment overdue", order_id=str(one["order_id"]), state=one["state"], code=one["code"])
