"""Taking a snapshot of sagas from the services' databases and the broker, without writing anything."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from notification.domain import UNDELIVERABLE, Correspondence
from notification.recipients import PutOff
from order.domain import Order
from payment.disputes import NEED_ANSWER, Dispute
from payment.domain import Payment
from payment.reconciliation import Stray
from payment.refunds import Refund
from payment.tables import IS_OPEN, REFUND_IS_OPEN
from product.domain import Hold
from shop.audit.trail import operator
from shop.broker.issue import BrokerIssue
from shop.broker.looking import declared, look_closely
from shop.dead_letters.session import peek
from shop.participants import PARTICIPANTS
from shop.sagas.databases import ReadOnlyDatabases
from shop.sagas.snapshot import (
    GAVE_BACK,
    BouncedRefund,
    OpenCall,
    QueueState,
    Snapshot,
    UndeliveredMail,
    UnpublishedEvent,
)
from shop.targets import SERVICES, Target

RECENT = timedelta(days=7)  # shorter than any service's retention of an order's rows
RECENT_ORDERS = 20_000
_CALLING = ("payment", "notification")
_QUEUES = {steps.queue for participant in PARTICIPANTS for steps in participant.steps}

_CANDIDATES = {
    "order": """
        (SELECT order_id FROM orders WHERE status = 'pending' ORDER BY created_at LIMIT :limit) UNION ALL
        (SELECT order_id FROM orders WHERE status = 'cancelled' AND NOT undone
         ORDER BY cancelled_at LIMIT :limit) UNION ALL
        (SELECT order_id FROM orders WHERE returning_since IS NOT NULL
         ORDER BY returning_since LIMIT :limit)""",
    "product": "SELECT order_id FROM hold WHERE state = 'reserved' ORDER BY deadline LIMIT :limit",
    "payment": f"""
        (SELECT order_id FROM payment WHERE {IS_OPEN} ORDER BY created_at LIMIT :limit) UNION ALL
        (SELECT order_id FROM refund WHERE {REFUND_IS_OPEN} ORDER BY created_at LIMIT :limit)""",  # noqa: S608
}
# Which recently ended orders a service does not know of: each service is queried for all at once.
_ENDED = """
    SELECT order_id, status, EXISTS (SELECT FROM timeline
        WHERE timeline.order_id = orders.order_id AND type = 'order.' || status) AS in_timeline
    FROM orders WHERE status <> 'pending' AND order_id >= :since ORDER BY order_id DESC LIMIT :recent"""
_LOST = {
    "notification": """
        SELECT id FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, status)
        WHERE NOT EXISTS (SELECT FROM correspondence WHERE subject_id = id AND jsonb_exists(letters,
            CASE status WHEN 'paid' THEN 'receipt' ELSE 'cancellation' END))
        ORDER BY id LIMIT :limit""",
    "product": """
        SELECT id FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, status)
        WHERE EXISTS (SELECT FROM hold WHERE order_id = id
            AND CASE status WHEN 'paid' THEN state <> 'sold' ELSE state IN ('reserved', 'sold') END)
        ORDER BY id LIMIT :limit""",
}
# A guest's cancellation mail is withheld until notification consumes that money was given back.
_WITHHELD = """
    SELECT subject_id FROM correspondence
    WHERE subject_id = ANY(CAST(:ids AS uuid[])) AND letters->>'cancellation' = 'withheld'"""
_GIVEN_BACK = """
    SELECT order_id AS id FROM payment
    WHERE order_id = ANY(CAST(:ids AS uuid[])) AND state = ANY(CAST(:states AS text[]))
    ORDER BY order_id LIMIT :limit"""
_REFUNDED = """
    SELECT refund_id, order_id AS id FROM refund WHERE state = 'refunded' AND created_at > :since
    ORDER BY created_at DESC LIMIT :recent"""
_UNWRITTEN = """
    SELECT id FROM unnest(CAST(:ids AS uuid[])) AS refunded (id)
    WHERE NOT EXISTS (SELECT FROM correspondence WHERE subject_id = id) ORDER BY id LIMIT :limit"""
_TIMELINES = """
    SELECT order_id, array_agg(type) AS types FROM timeline WHERE order_id = ANY(CAST(:ids AS uuid[]))
    GROUP BY order_id"""
# Calls, mails and events of partial refunds name their order in the payload.
_CALLS = """
    SELECT kind, subject, created_at, attempts, error, CAST(payload->>'order_id' AS uuid) AS about FROM intent
    WHERE CAST(:only AS uuid) IS NULL OR :only IN (subject, CAST(payload->>'order_id' AS uuid))
    ORDER BY created_at LIMIT :limit"""
_UNDELIVERABLE = """
    SELECT reason, subject_id, fate, why, at, jsonb_array_length(resends) AS resends,
        CAST(payload->>'order_id' AS uuid) AS order_id FROM kept_mail
    WHERE fate = ANY(CAST(:fates AS text[]))
        AND (CAST(:only AS uuid) IS NULL OR :only IN (subject_id, CAST(payload->>'order_id' AS uuid)))
    ORDER BY at LIMIT :limit"""
_PUT_OFF = f"""
    SELECT kind AS reason, subject AS subject_id, 'put_off', error, created_at, 0,
        CAST(payload->>'order_id' AS uuid) AS order_id
    FROM intent WHERE error LIKE '{PutOff.__name__}: %' ORDER BY created_at LIMIT :limit"""  # noqa: S608  ours
# Each by the id of the first refund of its chain, as order knows it.
_BOUNCED = """
    WITH RECURSIVE made (refund_id, first_id, again_of) AS (
        SELECT refund_id, refund_id, again_of FROM refund
        WHERE state = 'bounced' AND (CAST(:only AS uuid) IS NULL OR order_id = :only)
        UNION ALL
        SELECT made.refund_id, refund.refund_id, refund.again_of
        FROM made JOIN refund ON refund.refund_id = made.again_of)
    SELECT first_id, order_id, amount, code, refused, created_at FROM made JOIN refund USING (refund_id)
    WHERE made.again_of IS NULL ORDER BY created_at LIMIT :limit"""
_DISPUTES = """
    SELECT dispute_id, order_id, provider_id, amount, currency, reason, status, due_by, noted_at FROM dispute
    WHERE status = ANY(CAST(:open AS text[])) AND (CAST(:only AS uuid) IS NULL OR order_id = :only)
    ORDER BY due_by LIMIT :limit"""
_STRAYS = """
    SELECT payment_id, order_id, amount, currency, created_at, seen_at FROM stray
    WHERE settled_at IS NULL AND (CAST(:only AS text) IS NULL OR order_id = :only)
    ORDER BY created_at LIMIT :limit"""
_UNPUBLISHED = """
    SELECT type, subject, time, leased_until, attempts, error,
        CAST(data::jsonb->>'order_id' AS uuid) AS order_id FROM outbox
    WHERE CAST(:only AS uuid) IS NULL OR subject = :only OR strpos(data, CAST(:only AS text)) > 0
    ORDER BY position LIMIT :limit"""


async def take_snapshot(
    target: Target, databases: ReadOnlyDatabases, *, limit: int, only: UUID | None = None
) -> Snapshot:
    """At most `limit` of each kind, the oldest; of one order if `only` is given.

    Raises ShopError if PostgreSQL or RabbitMQ does not answer.
    """
    calls, mails, unpublished, (bounced, disputes, strays) = await asyncio.gather(
        _calls(databases, limit, only),
        undeliverable(databases, limit, only),
        _unpublished(databases, limit, only),
        _provider_reports(databases, limit, only),
    )
    ids, complete = ({only}, True) if only else await _candidates(databases, limit)
    ids |= orders_mentioned(calls, mails, unpublished, bounced, disputes)
    orders, payments, refunds, holds = await asyncio.gather(
        databases.load("order", Order, ids),
        databases.load("payment", Payment, ids),
        databases.load("payment", Refund, ids),
        databases.load("product", Hold, ids),
    )
    correspondence = await databases.load("notification", Correspondence, {*ids, *refunds})
    timelines, (queues, issues), dead = await asyncio.gather(
        databases.rows("order", _TIMELINES, ids=list(ids)),
        _broker(target, only),
        peek(target, operator()),
    )
    listed = (calls, mails, unpublished, bounced, disputes, strays)
    return Snapshot(
        now=datetime.now(UTC),
        orders=orders,
        timelines={row.order_id: frozenset(row.types) for row in timelines},
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
        dead_letters=dead.letters,
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


async def undeliverable(
    databases: ReadOnlyDatabases, limit: int, only: UUID | None = None
) -> tuple[UndeliveredMail, ...]:
    """Mails that only an operator can send again, the oldest first; about one order if `only` is given."""
    fates = list(UNDELIVERABLE)
    return _mails(await databases.rows("notification", _UNDELIVERABLE, limit=limit, only=only, fates=fates))


async def put_off(databases: ReadOnlyDatabases, limit: int) -> tuple[UndeliveredMail, ...]:
    """Mails that wait for their recipient's hourly limit."""
    return _mails(await databases.rows("notification", _PUT_OFF, limit=limit))


def _mails(rows: Sequence[Any]) -> tuple[UndeliveredMail, ...]:
    return tuple(UndeliveredMail(f"{row.reason}:{row.subject_id}", *row) for row in rows)


async def _candidates(databases: ReadOnlyDatabases, limit: int) -> tuple[set[UUID], bool]:
    """Orders with something open or lost, and whether these are all."""
    *answers, lost = await asyncio.gather(
        *(databases.rows(database, query, limit=limit) for database, query in _CANDIDATES.items()),
        orders_with_lost_events(databases, limit),
    )
    ids = {row.order_id for rows in answers for row in rows}
    return ids | set(lost), all(len(rows) < limit for rows in (*answers, lost))


async def orders_with_lost_events(databases: ReadOnlyDatabases, limit: int) -> list[UUID]:
    """Recently ended orders whose end a service or the timeline does not know; at most `limit` of each."""
    ended = await databases.rows(
        "order", _ENDED, since=_first_id(datetime.now(UTC) - RECENT), recent=RECENT_ORDERS
    )
    orders = {"ids": [row.order_id for row in ended], "states": [row.status for row in ended]}
    answers = await asyncio.gather(
        *(databases.rows(database, query, limit=limit, **orders) for database, query in _LOST.items()),
        _withheld_though_given_back(databases, limit, orders["ids"]),
        _refunded_without_a_mail(databases, limit),
    )
    not_in_timeline = sorted(row.order_id for row in ended if not row.in_timeline)[:limit]
    return [*not_in_timeline, *(row.id for rows in answers for row in rows)]


async def _refunded_without_a_mail(databases: ReadOnlyDatabases, limit: int) -> Sequence[Any]:
    refunded = await databases.rows(
        "payment", _REFUNDED, since=datetime.now(UTC) - RECENT, recent=RECENT_ORDERS
    )
    ids = [row.refund_id for row in refunded]
    unwritten = {row.id for row in await databases.rows("notification", _UNWRITTEN, ids=ids, limit=limit)}
    return [row for row in refunded if row.refund_id in unwritten]


async def _withheld_though_given_back(
    databases: ReadOnlyDatabases, limit: int, ids: Sequence[UUID]
) -> Sequence[Any]:
    withheld = [row.subject_id for row in await databases.rows("notification", _WITHHELD, ids=ids)]
    return await databases.rows("payment", _GIVEN_BACK, ids=withheld, states=list(GAVE_BACK), limit=limit)


def _first_id(moment: datetime) -> UUID:
    """The smallest id of an order placed at that time: a UUIDv7 begins with 48 bits of milliseconds."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def _calls(databases: ReadOnlyDatabases, limit: int, only: UUID | None) -> tuple[OpenCall, ...]:
    answers = [
        (service, await databases.rows(service, _CALLS, limit=limit, only=only)) for service in _CALLING
    ]
    return tuple(
        OpenCall(service, row.kind, row.subject, row.created_at, row.attempts, row.error, row.about)
        for service, rows in answers
        for row in rows
    )


async def _unpublished(
    databases: ReadOnlyDatabases, limit: int, only: UUID | None
) -> tuple[UnpublishedEvent, ...]:
    answers = [
        (service, await databases.rows(service, _UNPUBLISHED, limit=limit, only=only)) for service in SERVICES
    ]
    return tuple(UnpublishedEvent(service, *row) for service, rows in answers for row in rows)


async def _provider_reports(
    databases: ReadOnlyDatabases, limit: int, only: UUID | None
) -> tuple[tuple[BouncedRefund, ...], tuple[Dispute, ...], tuple[Stray, ...]]:
    """Failed refunds, disputes and stray payments, which need somebody's attention."""
    bounced, disputes, strays = await asyncio.gather(
        databases.rows("payment", _BOUNCED, limit=limit, only=only),
        databases.rows("payment", _DISPUTES, limit=limit, only=only, open=list(NEED_ANSWER)),
        databases.rows("payment", _STRAYS, limit=limit, only=only and str(only)),
    )
    return (
        tuple(BouncedRefund(*row) for row in bounced),
        tuple(Dispute(*row) for row in disputes),
        tuple(Stray(*row) for row in strays),
    )


async def _broker(
    target: Target, only: UUID | None
) -> tuple[tuple[QueueState, ...], tuple[BrokerIssue, ...]]:
    """Queue lengths and broker issues; empty for a single order, since they belong to none."""
    if only:
        return (), ()
    issues, figures = await look_closely(target, declared(target))
    queues = (
        QueueState(queue["name"], queue.get("messages", 0), queue.get("consumers", 0))
        for queue in figures.queues
        if queue["name"] in _QUEUES
    )
    return tuple(queues), tuple(issues)
