import json
from typing import Any
from uuid import UUID

import pytest

from chassis.messaging.envelope import Envelope
from contracts import OrderPaid
from shop.dead_letters.editing import with_body, with_values
from shop.errors import ShopError

from ...conftest import dead_letter

ORDER = "6f6b0000-0000-0000-0000-000000000001"
CREATED: dict[str, Any] = {
    "order_id": ORDER,
    "shopper_id": ORDER,
    "lines": [{"sku": "A", "name": "A", "quantity": 2, "unit_price": 500}],
    "total": {"amount": 1000, "currency": "GBP"},
    "payment_method": "pm_card_visa",
    "deadline": "2026-01-01T00:15:00Z",
}


def body(**differing: Any) -> bytes:
    return json.dumps(CREATED | differing).encode()


def test_an_edited_copy_keeps_its_attributes_and_has_no_stamps() -> None:
    edited = with_body(dead_letter(), body())
    assert edited.body == body()
    assert edited.headers == dead_letter().as_published().headers
    assert (edited.message_id, edited.type, edited.app_id) == (
        dead_letter().message_id,
        "order.created",
        "order",
    )
    assert Envelope.from_message(edited.to_message()).attempts == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "Invalid JSON"),
        (body(total={"amount": 10.5, "currency": "GBP"}), "total.amount: Input should be a valid integer"),
        (body(lines=[]), "lines: "),
        (body(vouchr="x"), "order.created has no vouchr: it has order_id, "),
        (body(order_id=ORDER[:-1] + "2"), f"the message is about {ORDER}: the edited body must be, too"),
    ],
)
def test_what_the_step_could_not_read_is_refused(bad: bytes, reason: str) -> None:
    with pytest.raises(ShopError) as refused:
        with_body(dead_letter(), bad)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_message_without_attributes_gets_those_of_its_event() -> None:
    poison = dead_letter(queue="cart", body=b"{", headers={}, message_id=None, type=None, app_id=None)
    paid = {name: value for name, value in CREATED.items() if name not in ("payment_method", "deadline")}
    readable = json.dumps(paid | {"payment_id": "pi_1"}).encode()
    with pytest.raises(ShopError, match=r"pass --type, one of guest\.merged, order\.paid"):
        with_body(poison, readable)
    envelope = Envelope.from_message(with_body(poison, readable, "order.paid").to_message())
    assert (envelope.id, envelope.type, envelope.version) == (f"order.paid/{ORDER}", OrderPaid.type, 1)
    assert (envelope.source, envelope.subject) == ("payment", UUID(ORDER))


def test_an_event_that_nobody_there_hears_is_refused() -> None:
    with pytest.raises(
        ShopError, match=r"cart has no step for 'order.created': it consumes guest.merged, order.paid"
    ):
        with_body(dead_letter(queue="cart"), body())


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("total.amount=1200", ("total", "amount"), 1200),
        ("lines.0.quantity=3", ("lines", 0, "quantity"), 3),
        ("payment_method=pm_card_visa", ("payment_method",), "pm_card_visa"),
        ('payment_method="5"', ("payment_method",), "5"),
        ("contact=null", ("contact",), None),
        ("deadline=a=b", ("deadline",), "a=b"),
    ],
)
def test_a_value_is_set_where_the_path_leads(change: str, place: tuple[Any, ...], value: object) -> None:
    found = json.loads(with_values(dead_letter(body=body()), [change]))
    for part in place:
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    "change", ["lines.7.quantity=1", "totals.amount=1", "total.amount.pence=1", "lines.x=1"]
)
def test_a_path_that_leads_nowhere_is_told(change: str) -> None:
    with pytest.raises(ShopError, match="the body has no "):
        with_values(dead_letter(body=body()), [change])


def test_a_change_without_a_value_is_told() -> None:
    with pytest.raises(ShopError, match="--set takes path=value"):
        with_values(dead_letter(body=body()), ["total.amount"])


def test_what_is_no_json_cannot_be_changed_by_path() -> None:
    with pytest.raises(ShopError, match="pass a complete one with --file"):
        with_values(dead_letter(body=b"{"), ["a=1"])


def test_an_edited_copy_of_a_forged_message_has_its_own_id_and_the_true_source() -> None:
    headers = {
        **dead_letter().headers,
        "cloudEvents:id": f"order.cancelled/{ORDER}",
        "cloudEvents:source": "/auth",
    }
    forged = dead_letter(headers=headers, user_id="product", message_id=f"order.cancelled/{ORDER}")
    message = with_body(forged, body()).to_message()
    envelope = Envelope.from_message(message)
    assert (envelope.id, envelope.source) == (f"order.created/{ORDER}", "product")
    assert (message.message_id, message.app_id, message.user_id) == (envelope.id, "product", None)
