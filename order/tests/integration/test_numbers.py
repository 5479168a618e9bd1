"""An order's number: how it is generated, read and used, and that it gives no access to strangers."""

import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from order import ids, placing


@pytest.fixture
async def placed(order: Any, shopper: UUID) -> Any:
    return (await order.place(shopper)).json()


def spellings(number: str) -> list[str]:
    return [number, number.lower(), number.replace("-", "")]


async def test_every_endpoint_takes_a_number_instead_of_an_id(order: Any, shopper: UUID, placed: Any) -> None:
    for path in ("", "/timeline"):
        by_id = (await order.get(f"/v1/orders/{placed['order_id']}{path}", shopper)).json()
        assert by_id["number"] == placed["number"]
        for number in spellings(placed["number"]):
            assert (await order.get(f"/v1/orders/{number}{path}", shopper)).json() == by_id
    other = (await order.place(shopper)).json()
    for number in spellings(placed["number"]):
        listed = (await order.get(f"/v1/orders?number={number}", shopper)).json()["items"]
        assert [one["order_id"] for one in listed] == [placed["order_id"]] != [other["order_id"]]


async def test_an_order_is_cancelled_and_watched_by_its_number(
    order: Any, shopper: UUID, placed: Any
) -> None:
    cancelled = await order.cancel(placed["number"].lower(), shopper)
    assert (cancelled.status_code, cancelled.json()["order_id"]) == (200, placed["order_id"])
    events = await order.get(f"/v1/orders/{placed['number']}/events", shopper)
    [state] = [line for line in events.text.splitlines() if '"status"' in line]
    event = json.loads(state.removeprefix("data: "))
    assert (event["number"], event["status"]) == (placed["number"], "cancelled")


async def test_another_shoppers_number_is_not_found(order: Any, placed: Any) -> None:
    stranger, number = uuid4(), placed["number"]
    missing = await order.get(f"/v1/orders/{ids.new_number()}", stranger)
    for path in ("", "/timeline", "/events"):
        answer = await order.get(f"/v1/orders/{number}{path}", stranger)
        assert (answer.status_code, answer.content) == (404, missing.content)
    assert (await order.cancel(number, stranger)).status_code == 404
    assert (await order.get(f"/v1/orders?number={number}", stranger)).json()["items"] == []


@pytest.mark.parametrize("path", ["/K7Q2X", "/K7Q2X-9XMDU", "?number=K7Q2X", "?number="])
async def test_an_invalid_number_is_refused(order: Any, shopper: UUID, path: str) -> None:
    refused = await order.get(f"/v1/orders{path}", shopper)
    assert refused.status_code == 422
    assert "number, such as K7Q2X-9XMDA" in refused.json()["errors"][0]["detail"]


async def test_a_taken_number_is_replaced_by_another(
    order: Any, shopper: UUID, placed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ids.new_number()
    drawn = iter([placed["number"], free])
    monkeypatch.setattr(placing, "new_number", lambda: next(drawn))
    answer = await order.place(shopper)
    assert (answer.status_code, answer.json()["number"]) == (202, free)
    assert (await order.get(answer.json()["links"]["self"], shopper)).json()["number"] == free
    assert [data["number"] for _, data in await order.published()] == [placed["number"], free]


async def test_an_order_fails_if_every_number_is_taken(
    order: Any, shopper: UUID, placed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "new_number", lambda: placed["number"])
    assert (await order.place(shopper)).status_code == 500
    assert await order.count("orders") == await order.count("outbox") == 1


async def test_a_row_without_a_number_gets_one(order: Any, placed: Any) -> None:
    """As the previous release writes them."""
    copied = "shopper_id, lines, total, currency, payment_method, contact, created_at, deadline"
    given = await order.database.fetch(
        f"INSERT INTO orders (order_id, {copied})"
        f" SELECT gen_random_uuid(), {copied} FROM orders, generate_series(1, 100) RETURNING number"
    )
    shown = [row["number"] for row in given]
    assert [ids.read_number(one) for one in shown] == shown
    with pytest.raises(asyncpg.UniqueViolationError):
        await order.database.execute("UPDATE orders SET number = $1", placed["number"])
