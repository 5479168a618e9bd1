"""Periodic jobs take care of payments that do not end by themselves."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from chassis.runtime.jobs import first_id
from chassis.storage.database import Transactions, connect
from contracts import OrderCreated
from payment import jobs, store
from payment.domain import Payment, State
from payment.jobs import retry_refunds, void_expired
from payment.refunds import Refund, RefundState

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
async def transactions(migrated: Callable[[str], str]) -> AsyncIterator[Transactions]:
    engine = connect(migrated("payment"), pool_size=2, statement_timeout=5)
    yield Transactions(engine, "payment", lease=0)
    await engine.dispose()


def failed(order: OrderCreated, refused: int = 1, due: datetime = YESTERDAY) -> Payment:
    return Payment(
        order.order_id,
        "refund_failed",
        order,
        stock_reserved=True,
        cancelled=True,
        payment_id="pi_1",
        code="charge_disputed",
        refunds_refused=refused,
        refund_at=due,
    )


async def kept(transactions: Transactions, *payments: Payment) -> None:
    async with transactions() as tx:
        for payment in payments:
            tx.add(payment)


async def intended(transactions: Transactions) -> list[str]:
    async with transactions.engine.connect() as connection:
        return list((await connection.execute(text("SELECT key FROM intent"))).scalars())


async def state(transactions: Transactions, order_id: UUID) -> str:
    async with transactions() as tx:
        payment = await tx.get(Payment, order_id)
        assert payment is not None
        assert payment.order is not None
        return payment.state


async def test_a_refused_refund_is_retried_when_it_is_due(
    transactions: Transactions, created: OrderCreated
) -> None:
    await kept(transactions, failed(created))
    await retry_refunds(transactions, attempts=5)

    assert await state(transactions, created.order_id) == "refunding"
    assert await intended(transactions) == [f"refund:{created.order_id}"]


@pytest.mark.parametrize(
    "change", [{"refused": 5}, {"due": datetime.now(UTC) + timedelta(hours=1)}], ids=["too often", "too soon"]
)
async def test_a_refund_is_not_retried_too_often_or_too_soon(
    transactions: Transactions, created: OrderCreated, change: dict[str, Any]
) -> None:
    await kept(transactions, failed(created, **change))
    await retry_refunds(transactions, attempts=5)

    assert await state(transactions, created.order_id) == "refund_failed"
    assert await intended(transactions) == []


async def test_an_authorization_is_released_long_after_the_deadline_and_not_before(
    transactions: Transactions, created: OrderCreated
) -> None:
    hour, now = timedelta(hours=1), datetime.now(UTC)
    late, fresh, taken = (
        created.model_copy(update={"order_id": UUID(int=n), "deadline": deadline})
        for n, deadline in enumerate((now - hour, now + hour, now - hour))
    )
    await kept(
        transactions,
        Payment(late.order_id, "authorized", late, payment_id="pi_1"),
        Payment(fresh.order_id, "authorized", fresh, payment_id="pi_2"),
        Payment(taken.order_id, "captured", taken, payment_id="pi_3", stock_reserved=True),
    )
    await void_expired(transactions, grace=timedelta(0), batch=10)
    assert [await state(transactions, one.order_id) for one in (late, fresh, taken)] == [
        "voiding",
        "authorized",
        "captured",
    ]
    assert await intended(transactions) == [f"void:{late.order_id}"]

    await kept(
        transactions,
        *(Payment(UUID(int=n), "authorized", late, payment_id=f"pi_{n}") for n in range(10, 15)),
    )
    await void_expired(transactions, grace=2 * hour, batch=2)
    assert len(await intended(transactions)) == 1, "not before the grace is over"
    async with transactions.engine.begin() as connection:
        await connection.execute(text("UPDATE payment SET created_at = now() - interval '3 hours'"))
    await void_expired(transactions, grace=hour / 2, batch=2)
    assert len(await intended(transactions)) == 6, "batch by batch until nothing is due"


async def test_the_release_job_reads_open_payments_only(transactions: Transactions) -> None:
    async with transactions.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO payment (order_id, state, order_created, stock_reserved, cancelled, payment_id,
                                     refunds_refused)
                SELECT gen_random_uuid(), 'captured', '{}', true, false, 'pi', 0
                FROM generate_series(1, 5000)""")
        )
        await connection.execute(text("ANALYZE payment"))
        parameters = {"before": datetime.now(UTC), "limit": 100}
        plan = await connection.execute(text(f"EXPLAIN {store._EXPIRED.text}"), parameters)
        assert "payment_open" in str(plan.all())


async def test_overdue_payments_are_found(transactions: Transactions, created: OrderCreated) -> None:
    ended = created.model_copy(update={"order_id": UUID(int=1)})
    await kept(
        transactions,
        Payment(created.order_id, "authorized", created, payment_id="pi_1"),
        Payment(ended.order_id, "declined", ended, code="expired_card"),
    )

    (found,) = await store.overdue(transactions.engine, timedelta(0))
    assert (found["order_id"], found["state"], found["payment_id"]) == (
        created.order_id,
        "authorized",
        "pi_1",
    )
    assert await store.overdue(transactions.engine, timedelta(hours=1)) == []


async def test_old_webhooks_are_pruned(transactions: Transactions) -> None:
    async with transactions() as tx:
        assert await store.remember_webhook(tx.session, "evt_1")
        assert not await store.remember_webhook(tx.session, "evt_1")

    assert await jobs.WEBHOOKS.prune(transactions.engine, datetime.now(UTC) - timedelta(days=1)) == 0
    assert await jobs.WEBHOOKS.prune(transactions.engine, datetime.now(UTC)) == 1
    async with transactions() as tx:
        assert await store.remember_webhook(tx.session, "evt_1")


async def test_ended_payments_are_pruned_and_open_ones_stay(
    transactions: Transactions, created: OrderCreated
) -> None:
    ended: tuple[State, ...] = ("captured", "voided", "refunded", "declined", "refused")
    open_ = tuple(one for one in get_args(State) if one not in ended)
    old, young = (first_id(datetime.now(UTC) - timedelta(days=days)).int for days in (400, 300))
    for n, one in enumerate((*ended, *open_)):
        cancelled = one not in ("expected", "authorized", "capturing", "captured")
        for first in (old, young):
            paid: Any = {"order": created, "payment_id": "pi_1", "stock_reserved": True}
            paid |= {"action_url": "page", "action_expires_at": YESTERDAY}
            await kept(transactions, Payment(UUID(int=first + n), one, cancelled=cancelled, **paid))
    assert await jobs.PAYMENTS.prune(transactions.engine, datetime.now(UTC) - timedelta(days=365)) == 5
    async with transactions.engine.connect() as connection:
        found = await connection.execute(text("SELECT state FROM payment ORDER BY order_id"))
    assert [*found.scalars()] == [*open_, *ended, *open_]


@pytest.mark.parametrize(
    ("state_of_one", "goes"),
    [
        ("refunding", False),
        ("refund_failed", False),
        ("bounced", False),
        ("refunded", True),
        ("covered", True),
    ],
)
async def test_refunds_are_pruned_with_their_payment_unless_one_is_open_or_bounced(
    transactions: Transactions, created: OrderCreated, state_of_one: RefundState, goes: bool
) -> None:
    old, young = (first_id(datetime.now(UTC) - timedelta(days=days)) for days in (400, 300))
    parts = (UUID(int=1), UUID(int=2)), (UUID(int=3), UUID(int=4))
    for order_id, ids in zip((old, young), parts, strict=True):
        paid = Payment(order_id, "captured", created, stock_reserved=True, payment_id="pi_1")
        await kept(transactions, paid)
        async with transactions() as tx:
            for refund_id, its_state in zip(ids, ("refunded", state_of_one), strict=True):
                tx.add(Refund(refund_id, order_id, 100, "return", its_state))
    pruned = await jobs.PAYMENTS.prune(transactions.engine, datetime.now(UTC) - timedelta(days=365))
    async with transactions.engine.connect() as connection:
        found = await connection.execute(text("SELECT refund_id FROM refund ORDER BY refund_id"))
        left = [*found.scalars()]
    assert (pruned, left) == ((1, [*parts[1]]) if goes else (0, [*parts[0], *parts[1]]))


@pytest.mark.parametrize(
    "impossible",
    [
        {"state": "captured", "payment_id": "pi_1", "stock_reserved": True, "cancelled": True},
        {"state": "capturing", "payment_id": "pi_1", "stock_reserved": False},
        {"state": "authorized", "payment_id": None},
        {"state": "action_required", "payment_id": "pi_1", "action_url": "page"},
        {"state": "lost", "payment_id": "pi_1"},
    ],
)
async def test_the_database_refuses_invalid_payments(
    transactions: Transactions, created: OrderCreated, impossible: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        await kept(transactions, Payment(created.order_id, order=created, **impossible))
