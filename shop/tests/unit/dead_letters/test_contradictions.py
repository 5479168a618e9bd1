"""An edit is compared with the order: values that money and stock follow may only become the order's own."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from contracts import testing
from order.domain import Order
from order.events import created
from shop.dead_letters.dead_letter import DeadLetter
from shop.dead_letters.editing import contradictions

from ...conftest import dead_letter

ID = UUID("6f6b0000-0000-0000-0000-000000000001")
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(
    order_id=ID,
    shopper_id=UUID(int=2),
    lines=(testing.line("A", 2, 500),),
    total=1000,
    currency="GBP",
    payment_method="pm_card_visa",
    contact="sealed",
    created_at=CREATED,
    deadline=CREATED,
)
SAID: dict[str, Any] = created(ORDER).model_dump(mode="json")


def with_body(**differing: Any) -> DeadLetter:
    return replace(dead_letter(), body=json.dumps(SAID | differing).encode())


def money(amount: Any, currency: str = "GBP") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def line(**differing: Any) -> dict[str, Any]:
    return {**SAID["lines"][0], **differing}


def test_an_unreadable_amount_that_becomes_the_orders_own_is_no_contradiction() -> None:
    assert contradictions(with_body(total=money("ten pounds")), with_body(), ORDER) == []


def test_a_wrong_amount_that_becomes_the_orders_own_is_no_contradiction() -> None:
    assert contradictions(with_body(total=money(30)), with_body(), ORDER) == []


def test_values_that_neither_money_nor_stock_follow_may_change() -> None:
    after = with_body(contact=None, lines=[line(name="Green lantern")], deadline="2027-01-01T00:00:00Z")
    assert contradictions(with_body(), after, ORDER) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"total": money(30)}, [f"order {ID} has total 10.00 GBP; the edited message has 0.30 GBP"]),
        (
            {"total": money(1000, "USD")},
            [f"order {ID} has total.currency GBP; the edited message has USD"],
        ),
        (
            {"lines": [line(quantity=1)]},
            [f"order {ID} has lines.0.quantity 2; the edited message has 1"],
        ),
        (
            {"shopper_id": str(UUID(int=3))},
            [f"order {ID} has shopper_id {UUID(int=2)}; the edited message has {UUID(int=3)}"],
        ),
        (
            {"lines": [line(), line(sku="B", quantity=1, unit_price=0)]},
            [
                f"order {ID} has no {path}; the original has no such value, the edited message has {value}"
                for path, value in (("lines.1.sku", "B"), ("lines.1.quantity", 1), ("lines.1.unit_price", 0))
            ],
        ),
        (
            {"payment_id": "pi_2"},
            [f"order {ID} has no payment_id; the original has no such value, the edited message has pi_2"],
        ),
    ],
)
def test_a_contradiction_is_named_with_the_orders_value(change: dict[str, Any], says: list[str]) -> None:
    assert contradictions(with_body(), with_body(**change), ORDER) == says


def test_a_line_that_is_taken_out_is_named() -> None:
    two = replace(ORDER, lines=(*ORDER.lines, testing.line("B", unit_price=1)))
    before = replace(dead_letter(), body=created(two).model_dump_json().encode())
    assert contradictions(before, with_body(), two)[0] == (
        f"order {ID} has lines.1.sku B; the edited message has no such value"
    )


def test_an_edit_of_an_undecodable_body_is_compared_with_the_whole_order() -> None:
    broken = replace(dead_letter(), body=b"\xff{")
    assert contradictions(broken, with_body(), ORDER) == []
    assert contradictions(broken, with_body(total=money(30)), ORDER) == [
        f"order {ID} has total 10.00 GBP; the edited message has 0.30 GBP"
    ]


def test_an_order_that_does_not_exist_is_reported() -> None:
    assert contradictions(with_body(), with_body(total=money(30)), None) == [
        f"order {ID} does not exist: there is nothing to compare total with; the edited message has 0.30 GBP"
    ]
