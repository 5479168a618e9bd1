"""Events that a service lost are found however many orders have ended since: on real databases."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.storage.database import connect
from payment.disputes import Dispute
from payment.operations import BOUNCED_REFUNDS
from shop.sagas.collecting import (
    RECENT,
    open_calls,
    orders_mentioned,
    orders_with_lost_events,
    undeliverable_mails,
    unpublished_events,
)
from shop.sagas.snapshot import BouncedRefund, OpenCall, UndeliveredMail, UnpublishedEvent
from shop.services import ReadOnlyDatabases
from shop.targets import SERVICES

NOW = datetime.now(UTC)
MANY = 300
Placed = tuple[UUID, str]


def order_id(minutes_ago: float, number: int = 0) -> UUID:
    """As order makes them: the time first."""
    moment = NOW - timedelta(minutes=minutes_ago)
    return UUID(int=(int(moment.timestamp() * 1000) << 80) + (7 << 76) + (2 << 62) + number)


OLDEST = order_id(minutes_ago=600)
ORDERS: list[Placed] = [
    (OLDEST, "paid"),
    *((order_id(60, n), ("paid", "cancelled")[n % 2]) for n in range(MANY)),
]


@pytest.fixture
async def databases(
    migrated: Callable[[str], str], as_operator: Callable[[str], str]
) -> AsyncIterator[ReadOnlyDatabases]:
    names = SERVICES
    engines = {
        name: connect(as_operator(migrated(name)), pool_size=2, statement_timeout=15) for name in names
    }
    yield ReadOnlyDatabases(engines)
    for engine in engines.values():
        await engine.dispose()


async def execute(
    databases: ReadOnlyDatabases, database: str, statement: str, rows: Sequence[Placed]
) -> None:
    if not rows:
        return
    async with databases.engines[database].begin() as connection:
        await connection.execute(
            text(statement), {"ids": [id_ for id_, _ in rows], "states": [state for _, state in rows]}
        )


async def place(
    databases: ReadOnlyDatabases,
    orders: Sequence[Placed] = ORDERS,
    *,
    but_mail: Sequence[UUID] = (),
    but_timeline: Sequence[UUID] = (),
    but_stock: Sequence[UUID] = (),
) -> None:
    """Orders that ended, known to every service except where the arguments say otherwise."""
    ended = "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)"

    def known(missing: Sequence[UUID]) -> list[Placed]:
        return [one for one in orders if one[0] not in missing]

    await execute(
        databases,
        "order",
        f"""INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact,
                created_at, deadline, status, payment_id, paid_at, cancelled_at, reason)
            SELECT id, id, '[{{}}]', 1, 'GBP', 'pm', '', now(), now(), state,
                CASE state WHEN 'paid' THEN 'pi' END, CASE state WHEN 'paid' THEN now() END,
                CASE state WHEN 'cancelled' THEN now() END,
                CASE state WHEN 'cancelled' THEN 'expired' END {ended}""",
        orders,
    )
    await execute(
        databases,
        "order",
        f"""INSERT INTO timeline (event_id, order_id, type, said_by, time, data)
            SELECT 'order.' || state || '/' || id, id, 'order.' || state, 'x', now(), '{{}}' {ended}""",
        known(but_timeline),
    )
    await execute(
        databases,
        "notification",
        f"""INSERT INTO correspondence (subject_id, cancelled, letters)
            SELECT id, false,
                jsonb_build_object(CASE state WHEN 'paid' THEN 'receipt' ELSE 'cancellation' END, 'sent')
            {ended}""",
        known(but_mail),
    )
    await execute(
        databases,
        "product",
        f"""INSERT INTO hold (order_id, state, lines)
            SELECT id, CASE state WHEN 'paid' THEN 'sold' ELSE 'released' END, '{json.dumps({})}' {ended}""",
        known(but_stock),
    )


async def test_nothing_is_lost_if_every_service_knows_every_order(databases: ReadOnlyDatabases) -> None:
    await place(databases)
    assert await orders_with_lost_events(databases, limit=10) == []


async def test_a_missing_mail_is_found_among_many_newer_orders(
    databases: ReadOnlyDatabases,
) -> None:
    await place(databases, but_mail=[OLDEST])
    assert await orders_with_lost_events(databases, limit=10) == [OLDEST]


async def test_a_mail_of_another_kind_does_not_count(databases: ReadOnlyDatabases) -> None:
    await place(databases, but_mail=[OLDEST])
    await execute(
        databases,
        "notification",
        """INSERT INTO correspondence (subject_id, cancelled, letters)
           SELECT id, false, '{"cancellation": "sent"}'
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, "paid")],
    )
    assert await orders_with_lost_events(databases, limit=10) == [OLDEST]


@pytest.mark.parametrize(("state", "lost"), [("voided", True), ("voiding", False), ("declined", False)])
async def test_a_mail_that_is_withheld_though_money_was_given_back_is_found(
    databases: ReadOnlyDatabases, state: str, lost: bool
) -> None:
    await place(databases, [(OLDEST, "cancelled")])
    async with databases.engines["notification"].begin() as connection:
        await connection.execute(
            text("""UPDATE correspondence SET letters = '{"cancellation": "withheld"}'""")
        )
    await execute(
        databases,
        "payment",
        """INSERT INTO payment
               (order_id, state, order_created, stock_reserved, cancelled, payment_id, code, refunds_refused)
           SELECT id, state, '{}', false, true, 'pi_1', 'expired_card', 0
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, state)],
    )
    assert await orders_with_lost_events(databases, limit=10) == ([OLDEST] if lost else [])


async def test_an_end_that_is_missing_in_the_timeline_is_found(databases: ReadOnlyDatabases) -> None:
    await place(databases, but_timeline=[OLDEST])
    assert await orders_with_lost_events(databases, limit=10) == [OLDEST]


@pytest.mark.parametrize(
    ("status", "state"), [("paid", "reserved"), ("paid", "released"), ("cancelled", "sold")]
)
async def test_stock_that_does_not_match_the_orders_end_is_found(
    databases: ReadOnlyDatabases, status: str, state: str
) -> None:
    await place(databases, [(OLDEST, status), *ORDERS[1:]], but_stock=[OLDEST])
    await execute(
        databases,
        "product",
        """INSERT INTO hold (order_id, state, lines) SELECT id, state, '{}'
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, state)],
    )
    assert await orders_with_lost_events(databases, limit=10) == [OLDEST]


async def test_at_most_limit_orders_are_returned_the_oldest_first(databases: ReadOnlyDatabases) -> None:
    await place(databases, but_mail=[id_ for id_, _ in ORDERS])
    assert await orders_with_lost_events(databases, limit=3) == sorted(id_ for id_, _ in ORDERS)[:3]


async def test_orders_beyond_the_retention_are_not_reported_as_lost(databases: ReadOnlyDatabases) -> None:
    old = order_id(minutes_ago=RECENT.total_seconds() / 60 + 1)
    await place(databases, [(old, "paid")], but_mail=[old], but_timeline=[old])
    assert await orders_with_lost_events(databases, limit=10) == []


@pytest.mark.parametrize("mailed", [False, True])
async def test_a_partial_refund_without_a_mail_is_found(databases: ReadOnlyDatabases, mailed: bool) -> None:
    await place(databases)
    refund_id = order_id(5)
    async with databases.engines["payment"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO refund (refund_id, order_id, amount, by, state)
                VALUES (:id, :of, 1, 'return', 'refunded')"""),
            {"id": refund_id, "of": OLDEST},
        )
    if mailed:
        async with databases.engines["notification"].begin() as connection:
            await connection.execute(
                text("""INSERT INTO correspondence VALUES (:id, false, '{"refund": "sent"}')"""),
                {"id": refund_id},
            )
    assert await orders_with_lost_events(databases, limit=10) == ([] if mailed else [OLDEST])


async def test_calls_events_and_mails_of_a_partial_refund_are_found_by_the_order(
    databases: ReadOnlyDatabases,
) -> None:
    refund_id, of = order_id(5), {"order_id": str(OLDEST)}
    async with databases.engines["payment"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO intent (key, kind, subject, payload, leased_until)
                VALUES ('refund_part:1', 'refund_part', :id, CAST(:of AS jsonb), now())"""),
            {"id": refund_id, "of": json.dumps(of)},
        )
        await connection.execute(
            text("""INSERT INTO outbox (message_id, type, version, subject, time, data, leased_until)
                VALUES ('x/1', 'payment.refunded_in_part', 1, :id, now(), :of, now())"""),
            {"id": refund_id, "of": json.dumps(of)},
        )
    async with databases.engines["notification"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO kept_mail (key, reason, subject_id, payload, fate, at)
                VALUES ('refund:1', 'refund', :id, CAST(:of AS jsonb), 'rejected', now())"""),
            {"id": refund_id, "of": json.dumps(of)},
        )
    calls = await open_calls(databases, 10, OLDEST)
    published = await unpublished_events(databases, 10, OLDEST)
    mails = await undeliverable_mails(databases, 10, OLDEST)
    assert [one.order_id for one in calls] == [OLDEST]
    assert [one.order_id for one in published] == [OLDEST]
    assert [one.order_id for one in mails] == [OLDEST]
    assert await open_calls(databases, 10, order_id(1)) == ()


async def bounced_refunds(databases: ReadOnlyDatabases, only: UUID | None) -> tuple[BouncedRefund, ...]:
    return await databases.records("payment", BouncedRefund, BOUNCED_REFUNDS, only, 10)


async def test_a_refund_that_failed_repeatedly_is_named_by_its_first_id(
    databases: ReadOnlyDatabases,
) -> None:
    first, second, third, other = (UUID(int=n) for n in (1, 2, 3, 4))
    async with databases.engines["payment"].begin() as connection:
        for refund_id, again_of, state in (
            (first, None, "covered"),
            (second, first, "covered"),
            (third, second, "bounced"),
            (other, None, "bounced"),
        ):
            await connection.execute(
                text(
                    "INSERT INTO refund (refund_id, order_id, amount, by, state, refused, again_of)"
                    " VALUES (:id, :order, 500, 'again', :state, 0, :again_of)"
                ),
                {"id": refund_id, "order": OLDEST, "state": state, "again_of": again_of},
            )
    for only in (None, OLDEST):
        bounced = await bounced_refunds(databases, only)
        assert {one.refund_id for one in bounced} == {first, other}
    assert await bounced_refunds(databases, order_id(1)) == ()


async def test_an_order_with_nothing_open_is_loaded_when_its_refund_failed(
    databases: ReadOnlyDatabases,
) -> None:
    async with databases.engines["payment"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO refund (refund_id, order_id, amount, by, state)
                VALUES (:id, :of, 1, 'staff', 'bounced')"""),
            {"id": order_id(5), "of": OLDEST},
        )
    bounced = await bounced_refunds(databases, None)
    assert orders_mentioned((), (), (), bounced, ()) == {OLDEST}


def test_everything_listed_names_its_order() -> None:
    order, refund = order_id(1), order_id(2)
    call = OpenCall("payment", "look", order, NOW, 1, None)
    mail = UndeliveredMail("refund:1", "refund", refund, "rejected", None, NOW, 0, order_id(3))
    event = UnpublishedEvent("payment", "payment.refunded_in_part", refund, NOW, NOW, order_id=order_id(4))
    dispute = Dispute(order_id(6), order_id(5), "dp_1", 1, "GBP", "fraudulent", "needs_response", None, NOW)
    named = orders_mentioned([call], [mail], [event], [], [dispute])
    assert named == {order, order_id(3), order_id(4), order_id(5)}
