"""The provider's own lists are compared with what is known: what no webhook has told of is found, too."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from chassis.saga.tx import Intent
from chassis.storage.database import Transactions, connect
from contracts import OrderCreated
from payment.domain import Payment, State
from payment.jobs import begin_reconciling
from payment.reconciliation import LISTS, Compared, Comparison, first_page
from payment.saga import note_page
from payment.store import Known
from payment.stripe_client import StripeClient
from payment.stripe_requests import LIST, page_intent
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

KEY = "sk_test_payment"
NOW = datetime(2026, 11, 27, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_back_as_far_as_things_on_it_may_still_change(name: str) -> None:
    first = first_page(name, NOW, NOW - DAY, None)
    assert first.payload["since"] == (NOW - LISTS[name]).timestamp()
    assert first.payload["after"] is None


def test_payments_are_read_back_to_the_last_time_and_to_the_oldest_that_is_nobodys() -> None:
    for known in ((NOW - 30 * DAY, None), (None, NOW - 30 * DAY)):
        assert first_page("payment_intents", NOW, *known).payload["since"] == (NOW - 30 * DAY).timestamp()


def test_each_page_is_a_call_of_its_own() -> None:
    first, second = page_intent("refunds", 0), page_intent("refunds", 0, "re_1")
    assert first.key != second.key
    assert page_intent("refunds", 7).key == first.key, "a list is read once at a time"


@pytest.fixture
async def transactions(migrated: Callable[[str], str]) -> AsyncIterator[Transactions]:
    engine = connect(migrated("payment"), pool_size=2, statement_timeout=5)
    yield Transactions(engine, "payment", lease=0)
    await engine.dispose()


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Embedded]:
    async with embedded(Settings(api_key=KEY, journal=tmp_path / "journal", port=0)) as running:
        yield running


@pytest.fixture
async def provider(sandbox: Embedded) -> AsyncIterator[StripeClient]:
    provider = StripeClient(KEY, base=sandbox.url, timeout=5)
    yield provider
    await provider.aclose()


class Desk:
    """Somebody at the provider, and a shop that reads its lists page by page."""

    def __init__(self, transactions: Transactions, provider: StripeClient, created: OrderCreated) -> None:
        self._transactions = transactions
        self._comparing = Comparison(provider.call, Known(transactions.engine))
        self._provider = provider
        self._created = created
        self.calls = 0

    async def charge(self, order_id: UUID | None = None, *, capture: bool = True) -> str:
        """Money is taken, or held, for that order or for none."""
        answer = await self._provider._stripe.raw_request_async(
            "post",
            "/v1/payment_intents",
            amount=2000,
            currency="gbp",
            payment_method="pm_card_visa",
            automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
            capture_method="automatic" if capture else "manual",
            confirm=True,
            metadata={"order_id": str(order_id)} if order_id else {},
        )
        return str(answer.data["id"])

    async def know(self, payment_id: str | None, order_id: UUID, state: State = "captured") -> None:
        """Payment knows of it."""
        order = self._created.model_copy(update={"order_id": order_id})
        async with self._transactions() as tx:
            tx.add(Payment(order_id, state, order, stock_reserved=True, payment_id=payment_id))

    async def reconcile(self) -> list[Intent]:
        """Read all lists to their ends. Returns the looks that came of it."""
        await begin_reconciling(self._transactions, timedelta(0))
        looks: list[Intent] = []
        while taken := await self._taken():
            for one in taken:
                if one.kind == LIST:
                    await self._read(one)
                else:
                    looks.append(one)
        return looks

    async def strays(self) -> list[tuple[str, int, bool]]:
        """Money of no order: the payment, what is left of it, and whether that is settled."""
        query = text("SELECT payment_id, amount, settled_at IS NOT NULL FROM stray ORDER BY payment_id")
        async with self._transactions.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(query)]

    async def _read(self, page: Intent) -> None:
        self.calls += 1
        outcome = await self._comparing.call(page)
        assert isinstance(outcome, Compared)
        async with self._transactions() as tx:
            await note_page(page, outcome, tx)

    async def _taken(self) -> list[Intent]:
        query = text("DELETE FROM intent RETURNING kind, subject, payload")
        async with self._transactions.engine.begin() as connection:
            return [Intent(row.kind, row.subject, row.payload) for row in await connection.execute(query)]


@pytest.fixture
def desk(transactions: Transactions, provider: StripeClient, created: OrderCreated) -> Desk:
    return Desk(transactions, provider, created)


async def test_what_is_as_it_is_known_leads_to_nothing(desk: Desk) -> None:
    for _ in range(3):
        order = uuid4()
        await desk.know(await desk.charge(order), order)
    assert await desk.reconcile() == []
    assert await desk.strays() == []


async def test_a_dispute_that_no_webhook_has_told_of_is_looked_up(desk: Desk, sandbox: Embedded) -> None:
    order = uuid4()
    payment = await desk.charge(order)
    await desk.know(payment, order)
    await sandbox.control("POST", "disputes", {"payment_intent": payment})

    (look,) = await desk.reconcile()
    assert (look.kind, look.subject, look.payload["payment_id"]) == ("look", order, payment)


async def test_a_hold_that_has_lapsed_is_looked_up(desk: Desk, sandbox: Embedded) -> None:
    order = uuid4()
    payment = await desk.charge(order, capture=False)
    await desk.know(payment, order, "authorized")
    await sandbox.control("POST", "expirations", {"payment_intent": payment})

    (look,) = await desk.reconcile()
    assert look.subject == order


async def test_a_hold_that_somebody_has_taken_is_looked_up(desk: Desk) -> None:
    taken, held = uuid4(), uuid4()
    await desk.know(await desk.charge(taken), taken, "authorized")
    await desk.know(await desk.charge(held, capture=False), held, "authorized")

    (look,) = await desk.reconcile()
    assert look.subject == taken


async def test_money_of_no_order_is_named_until_it_is_gone(desk: Desk, provider: StripeClient) -> None:
    payment = await desk.charge()
    assert await desk.reconcile() == []
    assert await desk.strays() == [(payment, 2000, False)]

    await provider._stripe.raw_request_async("post", "/v1/refunds", payment_intent=payment)
    await desk.reconcile()
    assert await desk.strays() == [(payment, 2000, True)]


async def test_a_second_payment_of_an_order_is_named_and_its_own_is_not(desk: Desk) -> None:
    order = uuid4()
    own, second = await desk.charge(order), await desk.charge(order)
    await desk.know(own, order)

    await desk.reconcile()
    assert [one[0] for one in await desk.strays()] == [second]


async def test_money_that_is_said_to_have_been_let_go_is_named(desk: Desk) -> None:
    order = uuid4()
    payment = await desk.charge(order)
    await desk.know(payment, order, "voided")

    await desk.reconcile()
    assert await desk.strays() == [(payment, 2000, False)]


async def test_an_order_whose_money_is_only_just_being_held_is_left_alone(desk: Desk) -> None:
    order = uuid4()
    await desk.charge(order, capture=False)
    await desk.know(None, order, "authorizing")

    await desk.reconcile()
    assert await desk.strays() == []


async def test_lists_are_read_page_by_page_and_go_on_where_they_were(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment.stripe_client.PAGE_SIZE", 2)
    payments = sorted([await desk.charge() for _ in range(5)])
    await desk.reconcile()

    assert desk.calls == 3 + len(LISTS) - 1
    assert [one[0] for one in await desk.strays()] == payments


async def test_a_list_is_begun_again_only_when_it_is_due(desk: Desk, transactions: Transactions) -> None:
    await desk.reconcile()
    await begin_reconciling(transactions, DAY)
    assert await desk._taken() == []


async def test_what_was_begun_and_not_ended_is_read_back_to_where_it_had_ended(
    desk: Desk, transactions: Transactions
) -> None:
    await desk.reconcile()
    async with transactions.engine.begin() as connection:
        await connection.execute(text("UPDATE reconciliation SET ended_at = ended_at - interval '40 days'"))
    await begin_reconciling(transactions, timedelta(0))
    began: dict[str, Any] = {one.payload["list"]: one.payload["since"] for one in await desk._taken()}
    assert began["payment_intents"] < (datetime.now(UTC) - timedelta(days=39)).timestamp()
