from copy import deepcopy
from typing import Any

import pytest

from contracts import OrderPaid
from contracts.schema import breaking_changes, schema_of

PAID = schema_of(OrderPaid)


def changed(change: Any) -> dict[str, Any]:
    schema = deepcopy(PAID)
    change(schema)
    return schema


def test_a_schema_is_compatible_with_itself() -> None:
    assert breaking_changes(PAID, PAID) == []


def test_an_optional_field_may_be_added() -> None:
    grown = changed(lambda s: s["properties"].update(note={"type": "string"}))
    assert breaking_changes(PAID, grown) == []


def test_descriptions_may_change() -> None:
    assert breaking_changes(PAID, changed(lambda s: s.update(description="Better words."))) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s["properties"].pop("payment_id"), "/payment_id: was removed"),
        (lambda s: s["required"].append("contact"), "/contact: is now required"),
        (lambda s: s["required"].remove("payment_id"), "/payment_id: is now optional"),
        (lambda s: s["properties"]["payment_id"].update(type="integer"), "/payment_id: type was"),
        (lambda s: s["$defs"]["Line"]["properties"].pop("quantity"), "/lines/items/quantity: was removed"),
        (lambda s: s["$defs"]["Money"]["properties"]["amount"].update(minimum=1), "/total/amount: minimum"),
    ],
)
def test_anything_else_is_a_new_version(change: Any, complaint: str) -> None:
    assert any(found.startswith(complaint) for found in breaking_changes(PAID, changed(change)))
