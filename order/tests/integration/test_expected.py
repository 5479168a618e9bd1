"""A checkout with an expected total and lines: nobody is charged more than the page showed, or for something
else."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

LINES = [{"sku": "LANTERN", "quantity": 2}, {"sku": "MUG", "quantity": 1}]


def pounds(amount: int, currency: str = "GBP") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


async def test_an_expected_total_and_lines_are_accepted(order: Any, shopper: UUID) -> None:
    answer = await order.place(shopper, expected_total=pounds(699), expected_lines=LINES[::-1])
    assert (answer.status_code, answer.json()["total"]) == (202, pounds(699))


async def test_a_higher_total_is_refused_and_shown(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("MUG", 200)
    refused = await order.place(shopper, key="once", expected_total=pounds(699))
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/total-changed")
    assert refused.json()["total"] == pounds(700)
    assert refused.json()["lines"] == [
        {"sku": "LANTERN", "name": "Product LANTERN", "quantity": 2, "unit_price": 250},
        {"sku": "MUG", "name": "Product MUG", "quantity": 1, "unit_price": 200},
    ]
    assert await order.count("orders") == await order.count("idempotency_keys") == 0
    accepted = await order.place(shopper, key="once", expected_total=refused.json()["total"])
    assert accepted.status_code == 202


async def test_a_lower_total_is_accepted_and_charged(order: Any, shopper: UUID) -> None:
    answer = await order.place(shopper, expected_total=pounds(1000))
    assert (answer.status_code, answer.json()["total"]) == (202, pounds(699))


async def test_another_currency_is_refused_whatever_the_amount(order: Any, shopper: UUID) -> None:
    refused = await order.place(shopper, expected_total=pounds(100_000, "EUR"))
    assert (refused.status_code, refused.json()["total"]) == (409, pounds(699))


@pytest.mark.parametrize(
    "expected",
    [
        LINES[:1],
        [*LINES, {"sku": "TEA", "quantity": 1}],
        [{**LINES[0], "quantity": 3}, LINES[1]],
        [LINES[0], {**LINES[1], "sku": "TEA"}],
        [],
    ],
)
async def test_other_lines_are_refused_even_if_they_cost_less(
    order: Any, shopper: UUID, expected: list[dict[str, Any]]
) -> None:
    refused = await order.place(shopper, expected_total=pounds(99_999), expected_lines=expected)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/total-changed")
    assert len(refused.json()["lines"]) == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"expected_total": 699}, "/expected_total"),
        ({"expected_total": {"amount": -1, "currency": "GBP"}}, "/expected_total/amount"),
        ({"expected_total": {"amount": "699", "currency": "GBP"}}, "/expected_total/amount"),
        ({"expected_total": {"amount": 699, "currency": "gbp"}}, "/expected_total/currency"),
        ({"expected_total": {"amount": 699}}, "/expected_total/currency"),
        ({"expected_lines": [LINES[0], LINES[0]]}, "/expected_lines"),
        ({"expected_lines": [{"sku": "A B", "quantity": 1}]}, "/expected_lines/0/sku"),
        ({"expected_lines": [{"sku": "MUG", "quantity": 0}]}, "/expected_lines/0/quantity"),
        ({"expected_lines": [{"sku": "MUG", "quantity": 1, "price": 1}]}, "/expected_lines/0/price"),
    ],
)
async def test_an_invalid_expectation_is_named(
    order: Any, shopper: UUID, change: dict[str, Any], pointer: str
) -> None:
    refused = await order.place(shopper, **change)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_the_expectation_is_part_of_the_request(order: Any, shopper: UUID) -> None:
    await order.place(shopper, key="once", expected_total=pounds(699))
    other = await order.place(shopper, key="once", expected_total=pounds(800))
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_without_an_expectation_the_fingerprint_is_the_previous_releases(
    order: Any, shopper: UUID
) -> None:
    """So that a repeat that the one release answers is known to the other."""
    await order.place(shopper, key="once")
    known = b'{"payment_method":"pm_card_visa","email":null,"shipping":null,"expires_in":null}'
    fingerprint = await order.database.fetchval("SELECT fingerprint FROM idempotency_keys")
    assert fingerprint == sha256(known).digest()
