"""What a service lost of an order is found however many orders have ended since: on real databases."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.storage.database import connect
from payment.disputes import Dispute
from shop.sagas.reading import RECENT, Books, lost_by_somebody, named_by, undeliverable
from shop.sagas.reading import _calls as calls_of
from shop.sagas.reading import _later as later
from shop.sagas.reading import _unsaid as unsaid_of
from shop.sagas.seen import CallSeen, MailSeen, UnsaidSeen
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
async def found(migrated: Callable[[str], str], as_operator: Callable[[str], str]) -> AsyncIterator[Books]:
    names = SERVICES
    engines = {
        name: connect(as_operator(migrated(name)), pool_size=2, statement_timeout=15) for name in names
    }
    yield Books(engines)
    for engine in engines.values():
        await engine.dispose()


async def execute(found: Books, database: str, statement: str, rows: Sequence[Placed]) -> None:
    if not rows:
        return
    async with found.engines[database].begin() as connection:
        await connection.execute(
            text(statement), {"ids": [id_ for id_, _ in rows], "states": [state for _, state in rows]}
        )


async def place(
    found: Books,
    orders: Sequence[Placed] = ORDERS,
    *,
    but_mail: Sequence[UUID] = (),
    but_timeline: Sequence[UUID] = (),
    but_stock: Sequence[UUID] = (),
) -> None:
    """Orders that ended, of which everybody knows but where it is said otherwise."""
    ended = "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)"

    def known(missing: Sequence[UUID]) -> list[Placed]:
        return [one for one in orders if one[0] not in missing]

    await execute(
        found,
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
        found,
        "order",
        f"""INSERT INTO timeline (event_id, order_id, type, said_by, time, data)
            SELECT 'order.' || state || '/' || id, id, 'order.' || state, 'x', now(), '{{}}' {ended}""",
        known(but_timeline),
    )
    await execute(
        found,
        "notification",
        f"""INSERT INTO correspondence (subject_id, cancelled, letters)
            SELECT id, false,
                jsonb_build_object(CASE state WHEN 'paid' THEN 'receipt' ELSE 'cancellation' END, 'sent')
            {ended}""",
        known(but_mail),
    )
    await execute(
        found,
        "product",
        f"""INSERT INTO hold (order_id, state, lines)
            SELECT id, CASE state WHEN 'paid' THEN 'sold' ELSE 'released' END, '{json.dumps({})}' {ended}""",
        known(but_stock),
    )


async def test_nothing_is_lost_where_everybody_knows_of_every_order(found: Books) -> None:
    await place(found)
    assert await lost_by_somebody(found, limit=10) == []


async def test_a_mail_that_notification_knows_nothing_of_is_found_among_many_newer_orders(
    found: Books,
) -> None:
    await place(found, but_mail=[OLDEST])
    assert await lost_by_somebody(found, limit=10) == [OLDEST]


async def test_a_mail_of_another_kind_is_not_the_one_that_is_owed(found: Books) -> None:
    await place(found, but_mail=[OLDEST])
    await execute(
        found,
        "notification",
        """INSERT INTO correspondence (subject_id, cancelled, letters)
           SELECT id, false, '{"cancellation": "sent"}'
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, "paid")],
    )
    assert await lost_by_somebody(found, limit=10) == [OLDEST]


@pytest.mark.parametrize(("state", "lost"), [("voided", True), ("voiding", False), ("declined", False)])
async def test_a_mail_that_is_withheld_though_money_was_given_back_is_found(
    found: Books, state: str, lost: bool
) -> None:
    await place(found, [(OLDEST, "cancelled")])
    async with found.engines["notification"].begin() as connection:
        await connection.execute(
            text("""UPDATE correspondence SET letters = '{"cancellation": "withheld"}'""")
        )
    await execute(
        found,
        "payment",
        """INSERT INTO payment
               (order_id, state, order_created, stock_reserved, cancelled, payment_id, code, refunds_refused)
           SELECT id, state, '{}', false, true, 'pi_1', 'expired_card', 0
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, state)],
    )
    assert await lost_by_somebody(found, limit=10) == ([OLDEST] if lost else [])


async def test_an_end_that_the_timeline_does_not_know_is_found(found: Books) -> None:
    await place(found, but_timeline=[OLDEST])
    assert await lost_by_somebody(found, limit=10) == [OLDEST]


@pytest.mark.parametrize(
    ("status", "state"), [("paid", "reserved"), ("paid", "released"), ("cancelled", "sold")]
)
async def test_stock_that_is_not_as_the_order_ended_is_found(found: Books, status: str, state: str) -> None:
    await place(found, [(OLDEST, status), *ORDERS[1:]], but_stock=[OLDEST])
    await execute(
        found,
        "product",
        """INSERT INTO hold (order_id, state, lines) SELECT id, state, '{}'
           FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS ended (id, state)""",
        [(OLDEST, state)],
    )
    assert await lost_by_somebody(found, limit=10) == [OLDEST]


async def test_at_most_so_many_are_named_the_oldest_first(found: Books) -> None:
    await place(found, but_mail=[id_ for id_, _ in ORDERS])
    assert await lost_by_somebody(found, limit=3) == sorted(id_ for id_, _ in ORDERS)[:3]


async def test_what_services_may_have_forgotten_is_not_called_lost(found: Books) -> None:
    old = order_id(minutes_ago=RECENT.total_seconds() / 60 + 1)
    await place(found, [(old, "paid")], but_mail=[old], but_timeline=[old])
    assert await lost_by_somebody(found, limit=10) == []


@pytest.mark.parametrize("mailed", [False, True])
async def test_a_refund_of_a_part_that_notification_knows_nothing_of_is_found(
    found: Books, mailed: bool
) -> None:
    await place(found)
    refund_id = order_id(5)
    async with found.engines["payment"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO refund (refund_id, order_id, amount, by, state)
                VALUES (:id, :of, 1, 'return', 'refunded')"""),
            {"id": refund_id, "of": OLDEST},
        )
    if mailed:
        async with found.engines["notification"].begin() as connection:
            await connection.execute(
                text("""INSERT INTO correspondence VALUES (:id, false, '{"refund": "sent"}')"""),
                {"id": refund_id},
            )
    assert await lost_by_somebody(found, limit=10) == ([] if mailed else [OLDEST])


async def test_what_lies_about_a_part_of_an_order_is_found_by_the_order(found: Books) -> None:
    refund_id, of = order_id(5), {"order_id": str(OLDEST)}
    async with found.engines["payment"].begin() as connection:
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
    async with found.engines["notification"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO kept_mail (key, reason, subject_id, payload, fate, at)
                VALUES ('refund:1', 'refund', :id, CAST(:of AS jsonb), 'rejected', now())"""),
            {"id": refund_id, "of": json.dumps(of)},
        )
    calls, published = await calls_of(found, 10, OLDEST), await unsaid_of(found, 10, OLDEST)
    mails = await undeliverable(found, 10, OLDEST)
    assert [one.order_id for one in calls] == [OLDEST]
    assert [one.order_id for one in published] == [OLDEST]
    assert [one.order_id for one in mails] == [OLDEST]
    assert await calls_of(found, 10, order_id(1)) == ()


async def test_a_refund_that_came_back_again_and_again_is_named_by_its_first_id(found: Books) -> None:
    first, second, third, other = (UUID(int=n) for n in (1, 2, 3, 4))
    async with found.engines["payment"].begin() as connection:
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
        bounced, _, _ = await later(found, 10, only)
        assert {one.refund_id for one in bounced} == {first, other}
    assert (await later(found, 10, order_id(1)))[0] == ()


async def test_an_order_of_which_nothing_is_open_is_looked_at_when_a_refund_of_it_came_back(
    found: Books,
) -> None:
    async with found.engines["payment"].begin() as connection:
        await connection.execute(
            text("""INSERT INTO refund (refund_id, order_id, amount, by, state)
                VALUES (:id, :of, 1, 'staff', 'bounced')"""),
            {"id": order_id(5), "of": OLDEST},
        )
    bounced, disputes, _ = await later(found, 10, None)
    assert named_by((), (), (), bounced, disputes) == {OLDEST}


def test_whatever_is_listed_names_its_order() -> None:
    order, refund = order_id(1), order_id(2)
    call = CallSeen("payment", "look", order, NOW, 1, None)
    mail = MailSeen("refund:1", "refund", refund, "rejected", None, NOW, 0, order_id(3))
    event = UnsaidSeen("payment", "payment.refunded_in_part", refund, NOW, NOW, order_id=order_id(4))
    dispute = Dispute(order_id(6), order_id(5), "dp_1", 1, "GBP", "fraudulent", "needs_response", None, NOW)
    named = named_by([call], [mail], [event], [], [dispute])
    assert named == {order, order_id(3), order_id(4), order_id(5)}
