"""Taking a snapshot of sagas from the services' databases and the broker, without writing anything."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import notification.operations
import order.operations
import payment.operations
import product.operations
from notification.operations import Correspondence
from order.operations import Order
from payment.operations import Dispute, Payment, Refund, Stray
from product.operations import Hold
from shop.audit.trail import operator
from shop.broker.checking import BrokerIssue, check, declared
from shop.dead_letters.session import peek
from shop.sagas.snapshot import (
    BouncedRefund,
    OpenCall,
    QueueState,
    Snapshot,
    UndeliveredMail,
    UnpublishedEvent,
)
from shop.services import PARTICIPANTS, ReadOnlyDatabases
from shop.targets import SERVICES, Target

RECENT = timedelta(days=7)  # shorter than any service's retention of an order's rows
RECENT_ORDERS = 20_000
_CALLING = ("payment", "notification")
_QUEUES = {steps.queue for participant in PARTICIPANTS for steps in participant.steps}

# Calls, mails and events of partial refunds name their order in the payload.
_CALLS = """
    SELECT kind, subject, created_at, attempts, error, (payload->>'order_id')::uuid AS about FROM intent
    WHERE $1::uuid IS NULL OR $1 IN (subject, (payload->>'order_id')::uuid)
    ORDER BY created_at LIMIT $2"""
_UNPUBLISHED = """
    SELECT type, subject, time, leased_until, attempts, error, (data::jsonb->>'order_id')::uuid FROM outbox
    WHERE $1::uuid IS NULL OR subject = $1 OR strpos(data, $1::text) > 0
    ORDER BY position LIMIT $2"""


async def take_snapshot(
    target: Target, databases: ReadOnlyDatabases, *, limit: int, only: UUID | None = None
) -> Snapshot:
    """At most `limit` of each kind, the oldest; of one order if `only` is given.

    Raises ShopError if PostgreSQL or RabbitMQ does not answer.
    """
    calls, mails, unpublished, bounced, disputes, strays = await asyncio.gather(
        open_calls(databases, limit, only),
        undeliverable_mails(databases, limit, only),
        unpublished_events(databases, limit, only),
        databases.records("payment", BouncedRefund, payment.operations.BOUNCED_REFUNDS, only, limit),
        databases.records(
            "payment",
            Dispute,
            payment.operations.DISPUTES_TO_ANSWER,
            payment.operations.NEED_ANSWER,
            only,
            limit,
        ),
        databases.records("payment", Stray, payment.operations.OPEN_STRAYS, only and str(only), limit),
    )
    ids, complete = ({only}, True) if only else await _candidates(databases, limit)
    ids |= orders_mentioned(calls, mails, unpublished, bounced, disputes)
    orders, payments, refunds, holds = await asyncio.gather(
        databases.load("order", Order, ids),
        databases.load("payment", Payment, ids),
        databases.load("payment", Refund, ids, by="order_id"),
        databases.load("product", Hold, ids),
    )
    correspondence = await databases.load("notification", Correspondence, {*ids, *refunds})
    timelines, (queues, issues), dead = await asyncio.gather(
        databases.rows("order", order.operations.TIMELINES, ids),
        _broker(target, only),
        peek(target, operator()),
    )
    listed: tuple[Sequence[object], ...] = (calls, mails, unpublished, bounced, disputes, strays)
    return Snapshot(
        now=datetime.now(UTC),
        orders=orders,
        timelines={order_id: frozenset(types) for order_id, types in timelines},
        payments=payments,
        refunds=refunds,
        holds=holds,
        calls=calls,
        undeliverable=mails,
        bounced=bounced,
        disputes=disputes,
        strays=strays,
        unpublished=unpublished,
        queues=queues,
        correspondence=correspondence,
        dead_letters=dead.dead_letters,
        broker_issues=issues,
        complete=complete and max(map(len, listed)) < limit and not dead.beyond,
    )


def orders_mentioned(
    calls: Iterable[OpenCall],
    mails: Iterable[UndeliveredMail],
    unpublished: Iterable[UnpublishedEvent],
    bounced: Iterable[BouncedRefund],
    disputes: Iterable[Dispute],
) -> set[UUID]:
    """The orders that these belong to, to be loaded as well for their numbers, currencies and events."""
    about = {one.order_id for group in (calls, bounced, disputes) for one in group}
    about |= {one.order_id or one.subject_id for one in mails}
    return about | {one.order_id or one.subject for one in unpublished}


async def open_calls(databases: ReadOnlyDatabases, limit: int, only: UUID | None) -> tuple[OpenCall, ...]:
    answers = [(service, await databases.rows(service, _CALLS, only, limit)) for service in _CALLING]
    return tuple(OpenCall(service, *row) for service, rows in answers for row in rows)


async def unpublished_events(
    databases: ReadOnlyDatabases, limit: int, only: UUID | None
) -> tuple[UnpublishedEvent, ...]:
    answers = [(service, await databases.rows(service, _UNPUBLISHED, only, limit)) for service in SERVICES]
    return tuple(UnpublishedEvent(service, *row) for service, rows in answers for row in rows)


async def undeliverable_mails(
    databases: ReadOnlyDatabases, limit: int, only: UUID | None = None
) -> tuple[UndeliveredMail, ...]:
    """Mails that only an operator can send again, the oldest first; about one order if `only` is given."""
    fates = notification.operations.UNDELIVERABLE
    query = notification.operations.UNDELIVERABLE_MAILS
    return await databases.records("notification", _mail, query, fates, only, limit)


async def put_off_mails(
    databases: ReadOnlyDatabases, limit: int | None = None
) -> tuple[UndeliveredMail, ...]:
    """Mails that wait for their recipient's hourly limit."""
    query = notification.operations.PUT_OFF_MAILS
    return await databases.records("notification", _mail, query, limit)


def _mail(reason: str, subject_id: UUID, *row: Any) -> UndeliveredMail:
    return UndeliveredMail(f"{reason}:{subject_id}", reason, subject_id, *row)


async def _candidates(databases: ReadOnlyDatabases, limit: int) -> tuple[set[UUID], bool]:
    """Orders with something open or lost, and whether these are all."""
    *answers, lost = await asyncio.gather(
        databases.rows("order", order.operations.OPEN_ORDERS, limit),
        databases.rows("product", product.operations.RESERVED_ORDERS, limit),
        databases.rows("payment", payment.operations.OPEN_ORDERS, limit),
        orders_with_lost_events(databases, limit),
    )
    ids = {order_id for rows in answers for (order_id,) in rows}
    return ids | set(lost), all(len(rows) < limit for rows in (*answers, lost))


async def orders_with_lost_events(databases: ReadOnlyDatabases, limit: int) -> list[UUID]:
    """Recently ended orders whose end a service or the timeline does not know; at most `limit` of each."""
    since = datetime.now(UTC) - RECENT
    # The smallest id of an order placed at that time: a UUIDv7 begins with 48 bits of milliseconds.
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    ended = await databases.rows("order", order.operations.ENDED_ORDERS, first, RECENT_ORDERS)
    ids, statuses = [row["order_id"] for row in ended], [row["status"] for row in ended]
    mails, stock, withheld, refunded = await asyncio.gather(
        databases.rows("notification", notification.operations.ORDERS_WITH_LOST_END, ids, statuses, limit),
        databases.rows("product", product.operations.ORDERS_WITH_LOST_END, ids, statuses, limit),
        databases.rows("notification", notification.operations.WITHHELD, ids),
        databases.rows("payment", payment.operations.REFUNDS_MADE, since, RECENT_ORDERS),
    )
    withheld_ids, orders_of_refunds = [row["subject_id"] for row in withheld], dict(refunded)
    given_back, without_mail = await asyncio.gather(
        # A guest's cancellation mail is withheld until notification consumes that money was given back.
        databases.rows(
            "payment", payment.operations.GIVEN_BACK, withheld_ids, payment.operations.GAVE_BACK, limit
        ),
        databases.rows("notification", notification.operations.WITHOUT_MAIL, list(orders_of_refunds), limit),
    )
    return [
        *sorted(row["order_id"] for row in ended if not row["in_timeline"])[:limit],
        *(order_id for rows in (mails, stock, given_back) for (order_id,) in rows),
        *(orders_of_refunds[refund_id] for (refund_id,) in without_mail),
    ]


async def _broker(
    target: Target, only: UUID | None
) -> tuple[tuple[QueueState, ...], tuple[BrokerIssue, ...]]:
    """Queue lengths and broker issues; empty for a single order, since they belong to none."""
    if only:
        return (), ()
    issues, figures = await check(target, declared(target))
    queues = (
        QueueState(queue["name"], queue.get("messages", 0), queue.get("consumers", 0))
        for queue in figures.queues
        if queue["name"] in _QUEUES
    )
    return tuple(queues), tuple(issues)
