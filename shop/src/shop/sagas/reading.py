"""Looking at sagas: the services' databases and the broker as the operator, without writing anything."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Column, any_, bindparam, select, text
from sqlalchemy import types as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from chassis.http.problems import Problem
from chassis.saga.tx import key_of
from chassis.storage.database import connect
from notification.domain import UNDELIVERABLE, Correspondence
from notification.recipients import PutOff
from notification.tables import correspondence as correspondence_table
from order import views
from order.domain import Order
from order.store import Orders
from order.tables import orders as orders_table
from payment.disputes import NEED_ANSWER, Dispute
from payment.domain import Payment
from payment.reconciliation import Stray
from payment.refunds import Refund
from payment.tables import IS_OPEN, REFUND_IS_OPEN
from payment.tables import payment as payment_table
from payment.tables import refund as refund_table
from product.domain import Hold
from product.tables import hold as hold_table
from shop.audit.trail import operator
from shop.broker.issue import BrokerIssue
from shop.broker.looking import declared, look_closely
from shop.dead_letters.session import peek
from shop.errors import ShopError
from shop.participants import PARTICIPANTS
from shop.sagas.seen import GAVE_BACK, BouncedSeen, CallSeen, MailSeen, QueueSeen, Seen, UnsaidSeen
from shop.targets import SERVICES, Target

TIMEOUT_SECONDS = 15
RECENT = timedelta(days=7)  # shorter than any service keeps what it knows of an order
RECENT_ORDERS = 20_000
_CALLING = ("payment", "notification")
_QUEUES = {steps.queue for participant in PARTICIPANTS for steps in participant.steps}

Row = TypeVar("Row")

_KEYS: dict[type, Column[UUID]] = {
    Order: orders_table.c.order_id,
    Payment: payment_table.c.order_id,
    Hold: hold_table.c.order_id,
    Correspondence: correspondence_table.c.subject_id,
    Refund: refund_table.c.order_id,
}

_SUSPECT = {
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
# Which of the orders that ended lately somebody lost: each service is asked for all of them at once.
_ENDED = """
    SELECT order_id, status, EXISTS (SELECT FROM timeline
        WHERE timeline.order_id = orders.order_id AND type = 'order.' || status) AS told
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
# A guest's cancellation is withheld until notification hears that money is given back: where did it not?
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
_TOLD = """
    SELECT order_id, array_agg(type) AS told FROM timeline WHERE order_id = ANY(CAST(:ids AS uuid[]))
    GROUP BY order_id"""
# What is about a refund of a part names its order in the payload, or in the event.
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
# Each by the id of the refund that came back first, as order knows it.
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
_UNSAID = """
    SELECT type, subject, time, leased_until, attempts, error,
        CAST(data::jsonb->>'order_id' AS uuid) AS order_id FROM outbox
    WHERE CAST(:only AS uuid) IS NULL OR subject = :only OR strpos(data, CAST(:only AS text)) > 0
    ORDER BY position LIMIT :limit"""


@dataclass(frozen=True)
class Books:
    """The databases of a shop, as the operator reads them."""

    engines: dict[str, AsyncEngine]

    async def rows(self, database: str, query: str, **parameters: Any) -> Sequence[Any]:
        async with self.engines[database].connect() as connection:
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            return (await connection.execute(text(query), parameters)).all()

    async def load(self, database: str, row_type: type[Row], ids: Collection[UUID]) -> dict[UUID, Row]:
        """The services' own objects about these, by their own keys, for their own rules to be asked."""
        column = _KEYS[row_type]
        wanted = any_(bindparam(None, list(ids), type_=sql.ARRAY(column.type)))
        async with AsyncSession(self.engines[database], expire_on_commit=False) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            found = (await session.scalars(select(row_type).where(column == wanted))).all()
        return {key_of(row): row for row in found}


@asynccontextmanager
async def books(target: Target) -> AsyncIterator[Books]:
    """Raises ShopError when the database does not answer."""
    async with AsyncExitStack() as closing:
        engines = {}
        for name in SERVICES:
            url = target.operator_dsn(name).replace("postgresql:", "postgresql+asyncpg:", 1)
            engines[name] = connect(url, pool_size=2, statement_timeout=TIMEOUT_SECONDS)
            closing.push_async_callback(engines[name].dispose)
        try:
            yield Books(engines)
        except (OSError, DBAPIError, Problem) as error:
            raise ShopError(f"PostgreSQL: {_first_line(error)}; see `shop status`") from error


async def see(target: Target, found: Books, *, limit: int, only: UUID | None = None) -> Seen:
    """At most `limit` of each kind, the oldest; of one order if `only` is given. Raises ShopError when
    somebody does not answer."""
    calls, mails, unsaid, (bounced, disputes, strays) = await asyncio.gather(
        _calls(found, limit, only),
        undeliverable(found, limit, only),
        _unsaid(found, limit, only),
        _later(found, limit, only),
    )
    ids, complete = ({only}, True) if only else await _suspects(found, limit)
    ids |= named_by(calls, mails, unsaid, bounced, disputes)
    orders, payments, refunds, holds = await asyncio.gather(
        found.load("order", Order, ids),
        found.load("payment", Payment, ids),
        found.load("payment", Refund, ids),
        found.load("product", Hold, ids),
    )
    letters = await found.load("notification", Correspondence, {*ids, *refunds})
    told, (queues, issues), dead = await asyncio.gather(
        found.rows("order", _TOLD, ids=list(ids)),
        _broker(target, only),
        peek(target, operator()),
    )
    listed = (calls, mails, unsaid, bounced, disputes, strays)
    return Seen(
        now=datetime.now(UTC),
        orders=orders,
        told={row.order_id: frozenset(row.told) for row in told},
        payments=payments,
        refunds=refunds,
        holds=holds,
        calls=calls,
        undeliverable=mails,
        bounced=bounced,
        disputes=disputes,
        strays=strays,
        unsaid=unsaid,
        queues=queues,
        letters_to=letters,
        dead=dead.letters,
        broker=issues,
        complete=complete and max(map(len, listed)) < limit and not dead.beyond,
    )


def named_by(
    calls: Iterable[CallSeen],
    mails: Iterable[MailSeen],
    unsaid: Iterable[UnsaidSeen],
    bounced: Iterable[BouncedSeen],
    disputes: Iterable[Dispute],
) -> set[UUID]:
    """Whose orders these are, as far as they are orders': an order of which nothing else is open has a
    number, a currency, and something to say again, too."""
    about = {one.order_id for found in (calls, bounced, disputes) for one in found}
    about |= {one.order_id or one.subject_id for one in mails}
    return about | {one.order_id or one.subject for one in unsaid}


async def saga(found: Books, order: UUID | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The order with that id or number, and its timeline, as order's API shows them. Raises ShopError when
    there is no such order."""
    orders = Orders(found.engines["order"])
    row = await orders.find(order)
    if row is None:
        raise ShopError(f"there is no order {order}: `shop saga list --state pending` shows some")
    story = [views.event_view(one) for one in await orders.story(order) if one["type"] is not None]
    return _plain(views.order_view(row)), _plain(story)


async def page(found: Books, state: str, limit: int) -> list[dict[str, Any]]:
    """The newest orders of that state."""
    rows = await Orders(found.engines["order"]).page(limit, status=state)
    listed: list[dict[str, Any]] = _plain([views.order_view(row) for row in rows])
    return listed


async def undeliverable(found: Books, limit: int, only: UUID | None = None) -> tuple[MailSeen, ...]:
    """Mails that only an operator has sent again, the oldest first; about one order if `only` is given."""
    fates = list(UNDELIVERABLE)
    return _mails(await found.rows("notification", _UNDELIVERABLE, limit=limit, only=only, fates=fates))


async def put_off(found: Books, limit: int) -> tuple[MailSeen, ...]:
    """Mails that wait because their recipient has had enough for an hour."""
    return _mails(await found.rows("notification", _PUT_OFF, limit=limit))


def _mails(rows: Sequence[Any]) -> tuple[MailSeen, ...]:
    return tuple(MailSeen(f"{row.reason}:{row.subject_id}", *row) for row in rows)


async def _suspects(found: Books, limit: int) -> tuple[set[UUID], bool]:
    """Orders of which something is open or was lost, and whether those are all."""
    *answers, lost = await asyncio.gather(
        *(found.rows(database, query, limit=limit) for database, query in _SUSPECT.items()),
        lost_by_somebody(found, limit),
    )
    ids = {row.order_id for rows in answers for row in rows}
    return ids | set(lost), all(len(rows) < limit for rows in (*answers, lost))


async def lost_by_somebody(found: Books, limit: int) -> list[UUID]:
    """Orders that ended lately without a service, or the timeline, knowing of it; at most `limit` of each."""
    ended = await found.rows(
        "order", _ENDED, since=_first_id(datetime.now(UTC) - RECENT), recent=RECENT_ORDERS
    )
    told = {"ids": [row.order_id for row in ended], "states": [row.status for row in ended]}
    answers = await asyncio.gather(
        *(found.rows(database, query, limit=limit, **told) for database, query in _LOST.items()),
        _withheld_though_given_back(found, limit, told["ids"]),
        _refunded_without_a_mail(found, limit),
    )
    untold = sorted(row.order_id for row in ended if not row.told)[:limit]
    return [*untold, *(row.id for rows in answers for row in rows)]


async def _refunded_without_a_mail(found: Books, limit: int) -> Sequence[Any]:
    refunded = await found.rows("payment", _REFUNDED, since=datetime.now(UTC) - RECENT, recent=RECENT_ORDERS)
    ids = [row.refund_id for row in refunded]
    unwritten = {row.id for row in await found.rows("notification", _UNWRITTEN, ids=ids, limit=limit)}
    return [row for row in refunded if row.refund_id in unwritten]


async def _withheld_though_given_back(found: Books, limit: int, ids: Sequence[UUID]) -> Sequence[Any]:
    withheld = [row.subject_id for row in await found.rows("notification", _WITHHELD, ids=ids)]
    return await found.rows("payment", _GIVEN_BACK, ids=withheld, states=list(GAVE_BACK), limit=limit)


def _first_id(moment: datetime) -> UUID:
    """The smallest id of an order placed then: a UUIDv7 begins with 48 bits of milliseconds."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def _calls(found: Books, limit: int, only: UUID | None) -> tuple[CallSeen, ...]:
    answers = [(service, await found.rows(service, _CALLS, limit=limit, only=only)) for service in _CALLING]
    return tuple(
        CallSeen(service, row.kind, row.subject, row.created_at, row.attempts, row.error, row.about)
        for service, rows in answers
        for row in rows
    )


async def _unsaid(found: Books, limit: int, only: UUID | None) -> tuple[UnsaidSeen, ...]:
    answers = [(service, await found.rows(service, _UNSAID, limit=limit, only=only)) for service in SERVICES]
    return tuple(UnsaidSeen(service, *row) for service, rows in answers for row in rows)


async def _later(
    found: Books, limit: int, only: UUID | None
) -> tuple[tuple[BouncedSeen, ...], tuple[Dispute, ...], tuple[Stray, ...]]:
    """What the provider has told of later, and somebody has to see to."""
    bounced, disputes, strays = await asyncio.gather(
        found.rows("payment", _BOUNCED, limit=limit, only=only),
        found.rows("payment", _DISPUTES, limit=limit, only=only, open=list(NEED_ANSWER)),
        found.rows("payment", _STRAYS, limit=limit, only=only and str(only)),
    )
    return (
        tuple(BouncedSeen(*row) for row in bounced),
        tuple(Dispute(*row) for row in disputes),
        tuple(Stray(*row) for row in strays),
    )


async def _broker(target: Target, only: UUID | None) -> tuple[tuple[QueueSeen, ...], tuple[BrokerIssue, ...]]:
    """How the queues are and what is wrong with the broker; nothing of which is one order's."""
    if only:
        return (), ()
    issues, figures = await look_closely(target, declared(target))
    queues = (
        QueueSeen(queue["name"], queue.get("messages", 0), queue.get("consumers", 0))
        for queue in figures.queues
        if queue["name"] in _QUEUES
    )
    return tuple(queues), tuple(issues)


def _plain(value: Any) -> Any:
    return json.loads(views.dumps(value))


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0] or repr(error)
