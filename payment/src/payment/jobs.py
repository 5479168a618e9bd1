"""Periodic jobs: retry refused refunds, void authorizations after the order's deadline, report overdue
payments and begin reconciliations."""

from datetime import timedelta
from functools import partial

import structlog

from chassis.runtime.jobs import Job, Rule, retention
from chassis.storage.database import Transactions
from payment import reconciliation, store
from payment.disputes import ENDED
from payment.domain import Payment
from payment.refunds import Refund
from payment.saga import apply, retry_part
from payment.settings import Settings
from payment.tables import IS_OPEN, REFUND_IS_OPEN

log = structlog.get_logger()

WEBHOOKS = Rule("webhook", at="seen_at")  # the provider does not redeliver older ones
DISPUTES = Rule("dispute", at="noted_at", where=f"status IN {ENDED}")
STRAYS = Rule("stray", at="settled_at")
PAYMENTS = Rule(
    "payment",
    key="order_id",
    where=f"""NOT ({IS_OPEN}) AND NOT EXISTS (
        SELECT FROM refund WHERE refund.order_id = payment.order_id
            AND (refund.{REFUND_IS_OPEN} OR refund.state = 'bounced'))""",
    also="DELETE FROM refund USING gone WHERE refund.order_id = gone.order_id",
)


def periodic(settings: Settings, transactions: Transactions) -> list[Job]:
    every = settings.sweep_every
    reconcile_every = timedelta(seconds=settings.reconcile_provider_every)
    grace, overdue = (timedelta(seconds=age) for age in (settings.give_up_after, settings.overdue_after))
    reconcile = partial(begin_reconciling, transactions, reconcile_every)
    void = partial(void_expired, transactions, grace, settings.sweep_batch)
    return [
        Job("reconcile", min(settings.reconcile_provider_every, every), reconcile),
        Job("retry refunds", every, partial(retry_refunds, transactions, settings.refund_attempts)),
        Job("void expired", every, void),
        Job("report overdue", every, partial(report_overdue, transactions, overdue)),
        retention(
            transactions.engine,
            (WEBHOOKS, settings.webhook_keep_days),
            (PAYMENTS, settings.payment_keep_days),
            (DISPUTES, settings.payment_keep_days),
            (STRAYS, settings.payment_keep_days),
        ),
    ]


async def retry_refunds(transactions: Transactions, attempts: int) -> None:
    """Retry the refunds that are due; after `attempts` refusals somebody has to look."""
    for row in await store.refundable(transactions.engine, attempts):
        async with transactions() as tx:
            payment = await tx.get(Payment, row["order_id"])
            if payment is not None and row["refund_id"] is None:
                apply(payment, payment.retry_refund(), tx)
            elif payment is not None and (refund := await tx.get(Refund, row["refund_id"])) is not None:
                retry_part(payment, refund, tx)


async def void_expired(transactions: Transactions, grace: timedelta, batch: int) -> None:
    """Void the money that is still held `grace` after its order's deadline, `batch` payments at a time."""
    voided = batch
    while voided == batch:
        async with transactions() as tx:
            due = await store.lock_expired(tx.session, tx.now, grace, batch)
            for payment in (await tx.get_many(Payment, due)).values():
                log.error("authorization voided after deadline", order_id=str(payment.order_id))
                apply(payment, payment.void_expired(), tx)
        voided = len(due)


async def begin_reconciling(transactions: Transactions, every: timedelta) -> None:
    """Begin to read each of the provider's lists, unless some replica began less than `every` ago."""
    for name in reconciliation.LISTS:
        async with transactions() as tx:
            begun = await store.begin_reading(tx.session, name, tx.now, every)
            if begun is not None:
                tx.intend(reconciliation.first_page(name, tx.now, *begun))


async def report_overdue(transactions: Transactions, age: timedelta) -> None:
    """Log every payment and refund that is still open after `age`; the intents have the errors."""
    for one in await store.overdue(transactions.engine, age):
        ids = {name: str(one[name]) for name in ("order_id", "refund_id") if one[name]}
        message = "refund overdue" if one["refund_id"] else "payment overdue"
        log.error(message, **ids, state=one["state"], code=one["code"])
