"""The provider's lists are compared with the database: changes whose webhooks were lost are found, too."""

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
from payment import reconciliation
from payment.domain import Payment, State
from payment.jobs import begin_reconciling
from payment.reconciliation import LISTS, Compared, first_page
from payment.saga import note_page
from payment.store import Known
from payment.stripe_client import StripeClient
from payment.stripe_requests import LIST, page_intent
from standins.sandbox.embedded import Embedded, embedded
from standins.sandbox.settings import Settings

from ..provider import KEY, client

NOW = datetime(2026, 11, 27, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_back_as_far_as_its_items_may_change(name: str) -> None:
    first = first_page(name, NOW, NOW - DAY, None)
    assert first.payload["since"] == (NOW - LISTS[name]).timestamp()
    assert first.payload["after"] is None


def test_payments_are_read_back_to_the_last_reading_and_the_oldest_stray() -> None:
    for known in ((NOW - 30 * DAY, None), (None, NOW - 30 * DAY)):
        assert first_page("payment_intents", NOW, *known).payload["since"] == (NOW - 30 * DAY).timestamp()


def test_each_page_has_its_own_intent() -> None:
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
    provider = client(sandbox.url, stripe_timeout=5)
    yield provider
    await provider.aclose()


class Dashboard:
    """Somebody who works at the provider, and a shop that reads its lists page by page."""

    def __init__(self, transactions: Transactions, provider: StripeClient, created: OrderCreated) -> None:
        self._transactions = transactions
        self._provider = provider
        self._created = created
        self.calls = 0

    async def charge(self, order_id: UUID | None = None, *, capture: bool = True) -> str:
        """Money is captured, or held, for that order or for none."""
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
        """Payment has a row for it."""
        order = self._created.model_copy(update={"order_id": order_id})
        async with self._transactions() as tx:
            tx.add(Payment(order_id, state, order, stock_reserved=True, payment_id=payment_id))

    async def reconcile(self) -> list[Intent]:
        """Read all lists completely. Returns the looks that were intended."""
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
        outcome = await reconciliation.call(self._provider.call, Known(self._transactions.engine), page)
        assert isinstance(outcome, Compared)
        async with self._transactions() as tx:
            await note_page(page, outcome, tx)

    async def _taken(self) -> list[Intent]:
        query = text("DELETE FROM intent RETURNING kind, subject, payload")
        async with self._transactions.engine.begin() as connection:
            return [Intent(row.kind, row.subject, row.payload) for row in await connection.execute(query)]


@pytest.fixture
def dashboard(transactions: Transactions, provider: StripeClient, created: OrderCreated) -> Dashboard:
    return Dashboard(transactions, provider, created)


async def test_a_page_without_differences_leads_to_nothing(dashboard: Dashboard) -> None:
    for _ in range(3):
        order = uuid4()
        await dashboard.know(await dashboard.charge(order), order)
    assert await dashboard.reconcile() == []
    assert await dashboard.strays() == []


async def test_a_dispute_without_a_webhook_is_looked_up(dashboard: Dashboard, sandbox: Embedded) -> None:
    order = uuid4()
    payment = await dashboard.charge(order)
    await dashboard.know(payment, order)
    await sandbox.control("POST", "disputes", {"payment_intent": payment})

    (look,) = await dashboard.reconcile()
    assert (look.kind, look.subject, look.payload["payment_id"]) == ("look", order, payment)


async def test_a_lapsed_authorization_is_looked_up(dashboard: Dashboard, sandbox: Embedded) -> None:
    order = uuid4()
    payment = await dashboard.charge(order, capture=False)
    await dashboard.know(payment, order, "authorized")
    await sandbox.control("POST", "expirations", {"payment_intent": payment})

    (look,) = await dashboard.reconcile()
    assert look.subject == order


async def test_an_authorization_captured_at_the_provider_is_looked_up(dashboard: Dashboard) -> None:
    taken, held = uuid4(), uuid4()
    await dashboard.know(await dashboard.charge(taken), taken, "authorized")
    await dashboard.know(await dashboard.charge(held, capture=False), held, "authorized")

    (look,) = await dashboard.reconcile()
    assert look.subject == taken


async def test_money_of_no_order_is_a_stray_until_it_is_gone(
    dashboard: Dashboard, provider: StripeClient
) -> None:
    payment = await dashboard.charge()
    assert await dashboard.reconcile() == []
    assert await dashboard.strays() == [(payment, 2000, False)]

    await provider._stripe.raw_request_async("post", "/v1/refunds", payment_intent=payment)
    await dashboard.reconcile()
    assert await dashboard.strays() == [(payment, 2000, True)]


async def test_a_second_payment_of_an_order_is_a_stray(dashboard: Dashboard) -> None:
    order = uuid4()
    own, second = await dashboard.charge(order), await dashboard.charge(order)
    await dashboard.know(own, order)

    await dashboard.reconcile()
    assert [one[0] for one in await dashboard.strays()] == [second]


async def test_money_of_a_voided_payment_is_a_stray(dashboard: Dashboard) -> None:
    order = uuid4()
    payment = await dashboard.charge(order)
    await dashboard.know(payment, order, "voided")

    await dashboard.reconcile()
    assert await dashboard.strays() == [(payment, 2000, False)]


async def test_a_payment_that_is_being_authorized_is_no_stray(dashboard: Dashboard) -> None:
    order = uuid4()
    await dashboard.charge(order, capture=False)
    await dashboard.know(None, order, "authorizing")

    await dashboard.reconcile()
    assert await dashboard.strays() == []


async def test_lists_are_read_page_by_page_and_resume(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment.stripe_client.PAGE_SIZE", 2)
    payments = sorted([await dashboard.charge() for _ in range(5)])
    await dashboard.reconcile()

    assert dashboard.calls == 3 + len(LISTS) - 1
    assert [one[0] for one in await dashboard.strays()] == payments


async def test_a_list_is_begun_again_only_when_it_is_due(
    dashboard: Dashboard, transactions: Transactions
) -> None:
    await dashboard.reconcile()
    await begin_reconciling(transactions, DAY)
    assert await dashboard._taken() == []


async def test_an_unfinished_reading_starts_from_the_last_complete_one(
    dashboard: Dashboard, transactions: Transactions
) -> None:
    await dashboard.reconcile()
    async with transactions.engine.begin() as connection:
        await connection.execute(text("UPDATE reconciliation SET ended_at = ended_at - interval '40 days'"))
    await begin_reconciling(transactions, timedelta(0))
    began: dict[str, Any] = {one.payload["list"]: one.payload["since"] for one in await dashboard._taken()}
    assert began["payment_intents"] < (datetime.now(UTC) - timedelta(days=39)).timestamp()
