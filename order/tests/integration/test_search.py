"""Staff search orders by address, product and time; shoppers cannot."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from chassis.runtime.jobs import first_id
from order.jobs import hash_contacts
from order.search import UNREADABLE, ContactHashes
from order.store import Orders

from ..conftest import CONTACT_KEY, bearer

NOW = datetime.now(UTC)


def sha256(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


async def found(order: Any, role: str = "reader", **query: Any) -> list[UUID]:
    answer = await order.http.get("/v1/orders", params=query, headers=bearer(uuid4(), role))
    assert answer.status_code == 200, answer.text
    return [UUID(item["order_id"]) for item in answer.json()["items"]]


@pytest.fixture
async def two(order: Any, services: Any, shopper: UUID) -> tuple[UUID, UUID]:
    """Ada's order of two lanterns and a mug, and then Bob's of a mug."""
    bob = uuid4()
    services.carts[bob] = {"MUG": 1}
    placed = (
        await order.place(shopper, email="Ada@example.com"),
        await order.place(bob, email="bob@example.com"),
    )
    first, second = (UUID(answer.json()["order_id"]) for answer in placed)
    return first, second


async def test_orders_are_found_by_address(order: Any, two: tuple[UUID, UUID]) -> None:
    assert await found(order, email_sha256=sha256("ada@example.com")) == [two[0]]
    assert await found(order, email_sha256=sha256("bob@example.com")) == [two[1]]
    assert await found(order, email_sha256=sha256("eve@example.com")) == []


async def test_orders_are_found_by_product(order: Any, two: tuple[UUID, UUID]) -> None:
    assert await found(order, sku="LANTERN") == [two[0]]
    assert await found(order, sku="MUG") == [two[1], two[0]]
    assert await found(order, sku="NONE") == []
    assert await found(order, sku="MUG", limit=1, before=str(two[1])) == [two[0]]
    assert await found(order, sku="MUG", status="cancelled") == []


async def test_orders_are_found_by_time(order: Any, two: tuple[UUID, UUID]) -> None:
    hour = timedelta(hours=1)
    assert await found(order, placed_from=(NOW - hour).isoformat()) == [two[1], two[0]]
    assert await found(order, placed_from=(NOW + hour).isoformat()) == []
    assert await found(order, placed_before=(NOW - hour).isoformat()) == []
    old = UUID(int=first_id(NOW - 24 * hour).int + 7)
    await order.database.execute("UPDATE orders SET order_id = $2 WHERE order_id = $1", two[0], old)
    assert await found(order, placed_before=(NOW - hour).isoformat()) == [old]


async def test_filters_can_be_combined(order: Any, two: tuple[UUID, UUID], shopper: UUID) -> None:
    ada = {"email_sha256": sha256("ada@example.com"), "sku": "MUG", "status": "pending"}
    period = {"placed_from": "2020-01-01T00:00:00Z", "placed_before": "2100-01-01T00:00:00+01:00"}
    assert await found(order, **ada, **period) == [two[0]]
    assert await found(order, **ada, shopper_id=str(shopper)) == [two[0]]
    assert await found(order, **ada, shopper_id=str(uuid4())) == []
    number = await order.database.fetchval("SELECT number FROM orders WHERE order_id = $1", two[0])
    assert await found(order, **ada, number=number) == [two[0]]


@pytest.mark.parametrize(
    "query",
    [
        {"email_sha256": "0" * 64},
        {"sku": "MUG"},
        {"placed_from": "2020-01-01T00:00:00Z"},
        {"placed_before": "2100-01-01T00:00:00Z"},
    ],
)
@pytest.mark.parametrize("role", ["shopper", "guest", "warehouse"])
async def test_only_staff_can_search(order: Any, shopper: UUID, role: str, query: dict[str, str]) -> None:
    answer = await order.http.get("/v1/orders", params=query, headers=bearer(shopper, role))
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        f"Only staff can search by {next(iter(query))}.",
    )


@pytest.mark.parametrize(
    "query",
    [
        {"email": "ada@example.com"},
        {"email_sha256": "ada@example.com"},
        {"email_sha256": "A" * 64},
        {"sku": "A B"},
        {"sku": ""},
        {"placed_from": "yesterday"},
        {"placed_from": "2026-01-01T00:00:00"},
        {"placed_from": "0001-01-01T00:00:00+23:59"},
        {"placed_from": "1969-12-31T23:59:59Z"},
        {"placed_before": "10000-01-01T00:00:00Z"},
    ],
)
async def test_what_cannot_be_searched_for_is_refused(order: Any, query: dict[str, str]) -> None:
    answer = await order.http.get("/v1/orders", params=query, headers=bearer(uuid4(), "reader"))
    assert answer.status_code == 422


async def test_the_last_moment_of_all_is_a_moment(order: Any) -> None:
    assert await found(order, placed_from="9999-12-31T23:59:59.999999-23:59") == []


async def test_the_database_has_no_address_and_not_its_sha256(order: Any, two: tuple[UUID, UUID]) -> None:
    stored = await order.database.fetchval("SELECT contact_hash FROM orders WHERE order_id = $1", two[0])
    assert len(stored) == 16
    assert stored not in (bytes.fromhex(sha256("ada@example.com"))[:16], b"ada@example.com")


async def test_a_job_hashes_the_addresses_of_older_orders(order: Any, two: tuple[UUID, UUID]) -> None:
    await order.database.execute("UPDATE orders SET contact_hash = NULL")
    await order.database.execute(
        "UPDATE orders SET contact = 'nobody can read it' WHERE order_id = $1", two[1]
    )
    await hash_contacts(order.transactions, ContactHashes(SecretStr(CONTACT_KEY)), 1)
    assert await found(order, email_sha256=sha256("ada@example.com")) == [two[0]]
    unreadable = "SELECT contact_hash FROM orders WHERE order_id = $1"
    assert await order.database.fetchval(unreadable, two[1]) == UNREADABLE


def test_a_search_looks_for_the_hashes_of_every_key() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    before, after = ContactHashes(SecretStr(old)), ContactHashes(SecretStr(f"{new},{old}"))
    wanted = after.wanted(sha256("ada@example.com"))
    assert {before.of_address("ada@example.com"), after.of_address("ADA@example.com")} == set(wanted)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"contacts": [b"x" * 16]}, "orders_contact"),
        ({"sku": "P7"}, "orders_products"),
        ({"sku": "P7", "status": "paid", "placed_from": first_id(NOW)}, "orders_products"),
        ({"placed_from": first_id(NOW), "placed_before": first_id(NOW)}, "orders_pkey"),
    ],
)
async def test_a_search_uses_its_index(
    order: Any, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any], index: str
) -> None:
    await order.database.execute(
        """
        INSERT INTO orders (order_id, shopper_id, lines, total, currency, payment_method, contact, created_at,
            deadline, status, paid_at, payment_id, contact_hash)
        SELECT gen_random_uuid(), gen_random_uuid(),
            jsonb_build_array(jsonb_build_object('sku', 'P' || n % 500)), 1, 'GBP', 'pm_x', 'x', now(), now(),
            'paid', now(), 'pi', decode(md5(n::text), 'hex')
        FROM generate_series(1, 5000) AS n
        """
    )
    await order.database.execute("ANALYZE orders")
    asked: list[tuple[str, tuple[Any, ...]]] = []

    async def note(_: Any, query: str, *values: Any) -> list[Any]:
        asked.append((query, values))
        return []

    monkeypatch.setattr("order.store.fetch", note)
    await Orders(order.engine).page(21, **filters)
    [(query, values)] = asked
    await order.database.execute("SET plan_cache_mode = force_generic_plan")
    plan = "\n".join(row[0] for row in await explained(order.database, query, values))
    assert index in plan
    assert "Seq Scan" not in plan


async def explained(database: asyncpg.Connection, query: str, values: tuple[Any, ...]) -> list[Any]:
    """The plan that the service gets, which does not depend on the values."""
    return list(await database.fetch(f"EXPLAIN {query}", *values))
