"""Fulfilling, returning and refunding over HTTP: who can, what is refused, and what is published."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts import Money
from contracts.testing import payment_refund_failed, payment_refunded_in_part, stock_returned

LANTERN = {"lines": [{"sku": "LANTERN", "quantity": 1}]}
STAFF = UUID(int=77)


@pytest.fixture
def post(order: Any, bearer: Any) -> Any:
    """`await post(order_id, "returns", shopper, json=…, key=…, role=…)`."""

    async def post_(
        order_id: Any, path: str, who: UUID, *, key: str | None = None, role: str = "shopper", **more: Any
    ) -> httpx.Response:
        headers = bearer(who, role=role) | ({"Idempotency-Key": key} if key else {})
        answer: httpx.Response = await order.http.post(
            f"/v1/orders/{order_id}/{path}", headers=headers, **more
        )
        return answer

    return post_


@pytest.fixture
async def paid_order(order: Any, paid: Any, shopper: UUID) -> UUID:
    order_id: UUID = await order.placed(shopper)
    await order.consume(paid(order_id))
    return order_id


@pytest.fixture
async def fulfilled(paid_order: UUID, post: Any) -> UUID:
    assert (await post(paid_order, "fulfil", STAFF, role="warehouse")).status_code == 200
    return paid_order


async def test_the_list_says_until_when_a_return_can_be_requested(
    order: Any, paid_order: UUID, shopper: UUID, post: Any
) -> None:
    path = f"/v1/orders/{paid_order}/returns"
    assert (await order.get(path, shopper)).json() == {"items": [], "until": None}
    fulfilled = (await post(paid_order, "fulfil", STAFF, role="warehouse")).json()["fulfilled_at"]
    until = (await order.get(path, shopper)).json()["until"]
    assert datetime.fromisoformat(until) - datetime.fromisoformat(fulfilled) == timedelta(days=30)


async def published(order: Any, type_: str) -> list[dict[str, Any]]:
    return [data for name, data in await order.published() if name == type_]


async def requested(post: Any, order_id: UUID, who: UUID, **more: Any) -> UUID:
    answer = await post(order_id, "returns", who, key=uuid4().hex, json=LANTERN, **more)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["return_id"])


def refused(answer: httpx.Response, status: int, type_: str) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["type"]) == (status, f"/problems/{type_}"), answer.text
    return document


async def test_staff_fulfil_a_paid_order_once(order: Any, paid_order: UUID, shopper: UUID, post: Any) -> None:
    answers = [await post(paid_order, "fulfil", STAFF, role="warehouse") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    view = (await order.get(f"/v1/orders/{paid_order}", shopper)).json()
    assert view["fulfilled_at"] == answers[1].json()["fulfilled_at"]
    assert len(await published(order, "order.fulfilled")) == 1
    [action] = (await order.get(f"/v1/orders/{paid_order}/audit", STAFF, role="reader")).json()["items"]
    assert (action["action"], action["done_by"], action["why"]) == ("fulfil", str(STAFF), None)


async def test_only_a_paid_order_can_be_fulfilled(order: Any, shopper: UUID, post: Any) -> None:
    order_id = await order.placed(shopper)
    refused(await post(order_id, "fulfil", STAFF, role="warehouse"), 409, "order-not-paid")
    await order.cancel(order_id, shopper)
    refused(await post(order_id, "fulfil", STAFF, role="warehouse"), 409, "order-not-paid")


async def test_nobody_can_cancel_a_fulfilled_order(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    problem = refused(await order.cancel(fulfilled, shopper), 409, "order-fulfilled")
    assert "request a return" in problem["detail"]
    why = {"reason": "lost in the post"}
    refused(await post(fulfilled, "cancel", STAFF, role="admin", json=why), 409, "order-fulfilled")
    assert await published(order, "order.cancelled") == []


async def test_a_received_return_is_restocked_and_refunded(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    return_id = await requested(post, fulfilled, shopper)
    assert await published(order, "order.returned") == []
    for _ in range(2):
        answer = await post(fulfilled, f"returns/{return_id}/receive", STAFF, role="warehouse")
        assert (answer.status_code, answer.json()["state"]) == (200, "received")
    [event] = await published(order, "order.returned")
    assert (event["return_id"], event["amount"]) == (str(return_id), {"amount": 250, "currency": "GBP"})
    assert [(line["sku"], line["quantity"]) for line in event["lines"]] == [("LANTERN", 1)]
    money = Money(amount=250, currency="GBP")
    refund = payment_refunded_in_part(order_id=fulfilled, refund_id=return_id, amount=money, by="return")
    await order.consume(stock_returned(order_id=fulfilled, return_id=return_id), refund)
    view = (await order.get(f"/v1/orders/{fulfilled}", shopper)).json()
    assert view["refunded"] == {"amount": 250, "currency": "GBP"}
    [one] = view["returns"]
    assert one["restocked_at"]
    assert one["refunded_at"]
    assert (await order.get(f"/v1/orders/{fulfilled}/returns", shopper)).json()["items"] == [one]
    types = [
        e["type"] for e in (await order.get(f"/v1/orders/{fulfilled}/timeline", shopper)).json()["events"]
    ]
    assert types == ["order.paid", "stock.returned", "payment.refunded_in_part"]


async def test_a_return_is_requested_once_for_each_key(fulfilled: UUID, shopper: UUID, post: Any) -> None:
    first, again = [await post(fulfilled, "returns", shopper, key="k", json=LANTERN) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_an_idempotency_key_of_a_return_is_for_one_request(
    order: Any, paid: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    await post(fulfilled, "returns", shopper, key="k", json=LANTERN)
    two = {"lines": [{"sku": "LANTERN", "quantity": 2}]}
    refused(await post(fulfilled, "returns", shopper, key="k", json=two), 422, "idempotency-key-reused")
    other = await order.placed(shopper)
    await order.consume(paid(other))
    refused(await post(other, "returns", shopper, key="k", json=LANTERN), 422, "idempotency-key-reused")
    assert (await post(fulfilled, "returns", shopper, json=LANTERN)).status_code == 400
    assert len((await order.get(f"/v1/orders/{fulfilled}", shopper)).json()["returns"]) == 1


async def test_returning_more_than_was_bought_is_refused_and_does_not_use_up_the_key(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    much = {"lines": [{"sku": "LANTERN", "quantity": 3}, {"sku": "VASE", "quantity": 1}]}
    problem = refused(await post(fulfilled, "returns", shopper, key="k", json=much), 409, "more-than-is-left")
    assert [error["sku"] for error in problem["errors"]] == ["LANTERN", "VASE"]
    assert (await order.get(f"/v1/orders/{fulfilled}", shopper)).json()["returns"] == []
    assert (await post(fulfilled, "returns", shopper, key="k", json=LANTERN)).status_code == 201


async def test_of_many_requests_at_once_no_more_succeed_than_was_bought(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    keys = [uuid4().hex for _ in range(5)]
    answers = await asyncio.gather(*(post(fulfilled, "returns", shopper, key=k, json=LANTERN) for k in keys))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_an_order_that_was_not_fulfilled_cannot_be_returned(
    order: Any, paid_order: UUID, shopper: UUID, post: Any
) -> None:
    pending = await order.placed(shopper)
    for order_id in (paid_order, pending):
        answer = await post(order_id, "returns", shopper, key=uuid4().hex, json=LANTERN)
        assert "cancel it" in refused(answer, 409, "order-not-fulfilled")["detail"]
    await order.cancel(pending, shopper)
    refused(await post(pending, "returns", shopper, key=uuid4().hex, json=LANTERN), 409, "order-not-paid")


async def test_a_shopper_has_a_return_period_and_staff_have_no_limit(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    await order.database.execute("UPDATE orders SET fulfilled_at = now() - interval '30 days'")
    late = await post(fulfilled, "returns", shopper, key=uuid4().hex, json=LANTERN)
    refused(late, 409, "too-late-to-return")
    await requested(post, fulfilled, STAFF, role="admin")


async def test_another_shoppers_order_is_not_found(fulfilled: UUID, shopper: UUID, post: Any) -> None:
    return_id, stranger = await requested(post, fulfilled, shopper), uuid4()
    for path in ("returns", f"returns/{return_id}/withdraw"):
        more = {"key": uuid4().hex, "json": LANTERN} if path == "returns" else {}
        assert (await post(fulfilled, path, stranger, **more)).status_code == 404
        assert (await post(fulfilled, path, stranger, role="reader", **more)).status_code == 403
    for path in ("fulfil", f"returns/{return_id}/receive"):
        assert (await post(fulfilled, path, shopper)).status_code == 403
    refund = {"reason": "late", "amount": 1}
    assert (await post(fulfilled, "refunds", shopper, key="k", json=refund)).status_code == 403


async def test_a_rejected_or_withdrawn_return_is_not_refunded(
    order: Any, fulfilled: UUID, shopper: UUID, post: Any
) -> None:
    first, second = await requested(post, fulfilled, shopper), await requested(post, fulfilled, shopper)
    why = {"reason": "It was never sent"}
    for _ in range(2):
        answer = await post(fulfilled, f"returns/{first}/reject", STAFF, role="warehouse", json=why)
        assert (answer.json()["state"], answer.json()["reason"]) == ("rejected", "It was never sent")
        answer = await post(fulfilled, f"returns/{second}/withdraw", shopper)
        assert answer.json()["state"] == "withdrawn"
    for one in (first, second):
        answer = await post(fulfilled, f"returns/{one}/receive", STAFF, role="warehouse")
        refused(answer, 409, "return-closed")
    assert (await post(fulfilled, f"returns/{uuid4()}/withdraw", shopper)).status_code == 404
    actions = (await order.get(f"/v1/orders/{fulfilled}/audit", STAFF, role="reader")).json()["items"]
    assert [(one["action"], one["why"]) for one in actions] == [
        ("fulfil", None),
        ("reject return", "It was never sent"),
    ]
    assert actions[1]["about"] == {"return_id": str(first), "amount": 250, "lines": {"LANTERN": 1}}


@pytest.mark.parametrize(
    ("wanted", "amount", "lines"),
    [
        ({"amount": 100}, 100, []),
        ({"whole": True}, 699, []),
        ({"lines": [{"sku": "MUG", "quantity": 1}]}, 199, []),
        ({"lines": [{"sku": "MUG", "quantity": 1}], "restock": True}, 199, ["MUG"]),
    ],
)
async def test_staff_refund_with_a_reason(
    order: Any, paid_order: UUID, post: Any, wanted: dict[str, Any], amount: int, lines: list[str]
) -> None:
    body = {"reason": "It came late", **wanted}
    for _ in range(2):
        answer = await post(paid_order, "refunds", STAFF, role="admin", key="k", json=body)
        assert (answer.status_code, answer.json()["state"]) == (201, "granted"), answer.text
    [event] = await published(order, "order.returned")
    assert (event["amount"]["amount"], [line["sku"] for line in event["lines"]]) == (amount, lines)
    assert event["by"] == "staff"
    [action] = (await order.get(f"/v1/orders/{paid_order}/audit", STAFF, role="reader")).json()["items"]
    assert (action["action"], action["why"], action["about"]["amount"]) == ("refund", "It came late", amount)


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1},
        {"reason": "x"},
        {"reason": "", "amount": 1},
        {"reason": "x", "amount": 0},
        {"reason": "x", "amount": 1, "whole": True},
        {"reason": "x", "whole": False},
        {"reason": "x", "amount": 1, "restock": True},
        {"reason": "x", "lines": []},
        {"reason": "x", "amount": 1, "to": "somebody"},
    ],
)
async def test_a_refund_needs_a_reason_and_exactly_one_amount(
    order: Any, paid_order: UUID, post: Any, body: dict[str, Any]
) -> None:
    answer = await post(paid_order, "refunds", STAFF, role="admin", key="k", json=body)
    assert answer.status_code == 422
    assert await published(order, "order.returned") == []


async def test_lines_that_were_free_are_returned_and_not_refunded(
    order: Any, paid_order: UUID, post: Any
) -> None:
    await order.database.execute("UPDATE orders SET lines = jsonb_set(lines, '{1,unit_price}', '0')")
    body = {"reason": "x", "lines": [{"sku": "MUG", "quantity": 1}], "restock": True}
    answer = await post(paid_order, "refunds", STAFF, role="admin", key="k", json=body)
    assert "request a return" in refused(answer, 409, "nothing-to-refund")["detail"]
    assert await published(order, "order.returned") == []


async def test_no_more_is_refunded_than_was_paid(
    order: Any, paid_order: UUID, shopper: UUID, post: Any
) -> None:
    much, some = {"reason": "x", "amount": 700}, {"reason": "x", "amount": 400}
    for body, status in ((much, 409), (some, 201), (some, 409)):
        answer = await post(paid_order, "refunds", STAFF, role="admin", key=uuid4().hex, json=body)
        assert answer.status_code == status
    assert "299 minor units" in answer.json()["detail"]
    pending = await order.placed(shopper)
    answer = await post(pending, "refunds", STAFF, role="admin", key=uuid4().hex, json=some)
    refused(answer, 409, "order-not-paid")


async def test_staff_cancel_with_a_reason(order: Any, paid_order: UUID, shopper: UUID, post: Any) -> None:
    assert (await post(paid_order, "cancel", STAFF, role="admin")).status_code == 422
    why = {"reason": "Sold out at the supplier's"}
    assert (await post(paid_order, "cancel", shopper, json=why)).status_code == 422
    await order.database.execute("UPDATE orders SET paid_at = now() - interval '90 days'")
    view = (await post(paid_order, "cancel", STAFF, role="admin", json=why)).json()
    assert (view["status"], view["reason"], view["cancelled_by"]) == ("cancelled", "shopper", "staff")
    [event] = await published(order, "order.cancelled")
    assert (event["reason"], event["cancelled_by"]) == ("shopper", "staff")
    [action] = (await order.get(f"/v1/orders/{paid_order}/audit", STAFF, role="reader")).json()["items"]
    assert (action["action"], action["why"]) == ("cancel", why["reason"])


@pytest.mark.parametrize("body", [LANTERN, {"lines": []}, {"reason": None, "why": "x"}, [1], "x"])
async def test_a_body_that_would_be_ignored_is_refused(
    order: Any, paid_order: UUID, shopper: UUID, post: Any, body: Any
) -> None:
    for path, who, role in (("cancel", shopper, "shopper"), ("fulfil", STAFF, "warehouse")):
        answer = await post(paid_order, path, who, role=role, content=json.dumps(body))
        assert answer.status_code == 422, path
        answer = await post(paid_order, path, who, role=role, json=body)
        assert answer.status_code == 422, path
    assert (await order.get(f"/v1/orders/{paid_order}", shopper)).json()["status"] == "paid"


async def came_back(order: Any, order_id: UUID, refund_id: UUID) -> None:
    """What went back by that refund is with the shop again."""
    money = Money(amount=250, currency="GBP")
    about: dict[str, Any] = {"order_id": order_id, "refund_id": refund_id, "payment_id": "pi_1"}
    await order.consume(
        payment_refunded_in_part(**about, amount=money, by="staff"),
        payment_refund_failed(**about, amount=money, code="expired_or_canceled_card"),
    )


@pytest.fixture
async def bounced(order: Any, paid_order: UUID, post: Any) -> UUID:
    """A refund of the paid order that came back."""
    body = {"reason": "scratched", "amount": 250}
    refund = await post(paid_order, "refunds", STAFF, key="k", role="admin", json=body)
    refund_id = UUID(refund.json()["return_id"])
    await came_back(order, paid_order, refund_id)
    return refund_id


async def test_staff_settle_a_failed_refund_in_another_way(
    order: Any, paid_order: UUID, bounced: UUID, shopper: UUID, post: Any
) -> None:
    settle, why = f"refunds/{bounced}/settle", {"reason": "By bank transfer"}
    assert (await order.get(f"/v1/orders/{paid_order}", shopper)).json()["refunded"]["amount"] == 0
    for _ in range(2):
        answer = await post(paid_order, settle, STAFF, role="admin", json=why)
        assert (answer.status_code, answer.json()["refunded"]) == (200, {"amount": 250, "currency": "GBP"})
    [event] = await published(order, "order.refund_settled")
    assert (event["refund_id"], event["amount"]["amount"]) == (str(bounced), 250)
    actions = (await order.get(f"/v1/orders/{paid_order}/audit", STAFF, role="reader")).json()["items"]
    assert [one["action"] for one in actions] == ["refund", "settle refund"]
    assert (actions[1]["why"], actions[1]["about"]["refund_id"]) == ("By bank transfer", str(bounced))


async def test_the_rest_of_an_order_is_refunded_and_not_cancelled_after_that(
    order: Any, paid_order: UUID, bounced: UUID, shopper: UUID, post: Any
) -> None:
    await post(paid_order, f"refunds/{bounced}/settle", STAFF, role="admin", json={"reason": "In cash"})
    problem = refused(await order.cancel(paid_order, shopper), 409, "order-fulfilled")
    assert "ask staff to refund the rest" in problem["detail"]


async def test_only_a_failed_refund_that_was_not_made_again_can_be_settled(
    order: Any, paid_order: UUID, bounced: UUID, post: Any
) -> None:
    why = {"reason": "By bank transfer"}
    unknown = await post(paid_order, f"refunds/{uuid4()}/settle", STAFF, role="admin", json=why)
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Failed refund not found.")
    again = payment_refunded_in_part(
        order_id=paid_order,
        refund_id=uuid4(),
        payment_id="pi_1",
        amount=Money(amount=250, currency="GBP"),
        by="again",
    )
    await order.consume(again)
    settle = f"refunds/{bounced}/settle"
    refused(await post(paid_order, settle, STAFF, role="admin", json=why), 409, "return-closed")
    assert (await post(paid_order, settle, STAFF, role="warehouse", json=why)).status_code == 403
    assert await published(order, "order.refund_settled") == []
