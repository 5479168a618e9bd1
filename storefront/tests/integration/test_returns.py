"""Returning lines of an order: when it is offered, what the API is asked for, what is said of a return."""

from typing import Any

import pytest

from ..conftest import Browser, FakeApi
from .test_orders import ORDER, PAID, ago, api, event, shopper

__all__ = ["api", "shopper"]

LINES = [
    {"sku": "MUG-1", "name": "Blue mug", "quantity": 2, "unit_price": 1250},
    {"sku": "BOWL/1", "name": "Bowl", "quantity": 1, "unit_price": 900},
]
SHIPPED = {**ORDER, "status": "paid", "paid_at": PAID["time"], "fulfilled_at": ago(seconds=5), "lines": LINES}
RETURNS = "POST /v1/orders/0190/returns"
WITHDRAW = "POST /v1/orders/0190/returns/0191/withdraw"


def returned(state: str, pieces: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "return_id": "0191",
        "by": "return",
        "state": state,
        "lines": [{**LINES[0], "quantity": pieces}],
        "restock": True,
        "amount": {"amount": 1250 * pieces, "currency": "GBP"},
        "requested_at": ago(seconds=4),
        "received_at": None,
        "restocked_at": None,
        "refunded_at": None,
        "reason": None,
        **more,
    }


def answer(api: FakeApi, order: dict[str, Any], until: str | None = ago(days=-30)) -> None:
    api.answer("GET /v1/orders/0190", order)
    api.answer("GET /v1/orders/0190/returns", {"items": order["returns"], "until": until})
    api.answer(RETURNS, returned("requested"), 201)


async def test_the_chosen_pieces_are_requested_with_the_forms_key(shopper: Browser, api: FakeApi) -> None:
    answer(api, SHIPPED)
    await shopper.get("/orders/0190")
    key = shopper.value("key")
    done = await shopper.post("/orders/0190/returns", key=key, **{"pieces:MUG-1": "2", "pieces:BOWL/1": "0"})
    assert done.headers["location"] == "/orders/0190"
    [sent] = api.sent(RETURNS)
    assert sent.headers["idempotency-key"] == key
    assert sent.content == b'{"lines":[{"sku":"MUG-1","quantity":2}]}'
    assert "Your return is requested." in (await shopper.get("/orders/0190")).text


async def test_each_page_has_another_key(shopper: Browser, api: FakeApi) -> None:
    answer(api, SHIPPED)
    await shopper.get("/orders/0190")
    first = shopper.value("key")
    await shopper.get("/orders/0190")
    assert shopper.value("key") != first


@pytest.mark.parametrize("pieces", ["0", "", "-1", "1e3", "²", "9999999"])
async def test_no_pieces_are_no_return(shopper: Browser, api: FakeApi, pieces: str) -> None:
    answer(api, SHIPPED)
    await shopper.get("/orders/0190")
    await shopper.post("/orders/0190/returns", key="k", **{"pieces:MUG-1": pieces})
    assert not api.sent(RETURNS)
    assert "Choose how many pieces you return." in (await shopper.get("/orders/0190")).text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("more-than-is-left", "Not so many pieces are left"),
        ("too-late-to-return", "can be returned is over"),
        ("idempotency-key-reused", "was sent before"),
    ],
)
async def test_a_refusal_is_said_plainly(shopper: Browser, api: FakeApi, kind: str, text: str) -> None:
    answer(api, SHIPPED)
    await shopper.get("/orders/0190")
    api.refuse(RETURNS, 409, f"/problems/{kind}")
    await shopper.post("/orders/0190/returns", key="k", **{"pieces:MUG-1": "1"})
    assert text in (await shopper.get("/orders/0190")).text


async def test_what_was_returned_is_not_offered_again(shopper: Browser, api: FakeApi) -> None:
    answer(api, {**SHIPPED, "returns": [returned("requested", 2)]})
    page = (await shopper.get("/orders/0190")).text
    assert 'name="pieces:MUG-1"' not in page
    assert 'name="pieces:BOWL/1" type="number" inputmode="numeric" min="0" max="1"' in page
    answer(api, {**SHIPPED, "returns": [returned("withdrawn", 2)]})
    assert 'name="pieces:MUG-1"' in (await shopper.get("/orders/0190")).text


async def test_nothing_is_offered_before_it_was_shipped_or_after_the_period(
    shopper: Browser, api: FakeApi
) -> None:
    answer(api, {**SHIPPED, "fulfilled_at": None}, None)
    assert "Return something" not in (await shopper.get("/orders/0190")).text
    answer(api, SHIPPED, ago(seconds=1))
    assert "Return something" not in (await shopper.get("/orders/0190")).text
    answer(api, SHIPPED)
    assert "Return something" in (await shopper.get("/orders/0190")).text


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (returned("requested"), "Send the goods back"),
        (returned("received", received_at=ago(seconds=2)), "Your money is on its way."),
        (returned("received", refunded_at=ago(seconds=2)), "your money was sent back to you"),
        (returned("rejected", reason="It is <broken>"), "not accepted this return: It is &lt;broken&gt;"),
        (returned("withdrawn"), "You have withdrawn this return."),
        (returned("granted", by="staff", lines=[]), "The shop gives you money back."),
        (returned("granted", by="provider", lines=[], refunded_at=ago(seconds=2)), "has sent you money back"),
    ],
)
async def test_a_return_says_how_it_is(
    shopper: Browser, api: FakeApi, one: dict[str, Any], text: str
) -> None:
    answer(api, {**SHIPPED, "returns": [one]})
    page = (await shopper.get("/orders/0190")).text
    assert text in page
    assert ("Withdraw this return" in page) == (one["state"] == "requested")


async def test_a_requested_return_is_withdrawn(shopper: Browser, api: FakeApi) -> None:
    answer(api, {**SHIPPED, "returns": [returned("requested")]})
    api.answer(WITHDRAW, returned("withdrawn"))
    await shopper.get("/orders/0190?how=1")
    done = await shopper.post("/orders/0190/withdraw?how=1", return_id=shopper.value("return_id"))
    assert done.headers["location"] == "/orders/0190?how=1"
    assert len(api.sent(WITHDRAW)) == 1


async def test_a_return_that_has_arrived_is_not_withdrawn(shopper: Browser, api: FakeApi) -> None:
    answer(api, {**SHIPPED, "returns": [returned("requested")]})
    api.refuse(WITHDRAW, 409, "/problems/return-closed")
    await shopper.get("/orders/0190")
    await shopper.post("/orders/0190/withdraw", return_id="0191")
    assert "cannot be withdrawn any more" in (await shopper.get("/orders/0190")).text


async def test_while_a_refund_is_due_the_page_looks_again_and_while_a_parcel_travels_only_with_a_script(
    shopper: Browser, api: FakeApi
) -> None:
    answer(api, {**SHIPPED, "returns": [returned("received", received_at=ago(seconds=1))]})
    assert 'http-equiv="refresh" content="3"' in (await shopper.get("/orders/0190")).text
    answer(api, {**SHIPPED, "returns": [returned("requested")]})
    page = (await shopper.get("/orders/0190")).text
    assert "http-equiv" not in page
    assert 'data-refresh="10"' in page


async def test_a_refund_by_staff_is_no_return_that_arrived(shopper: Browser, api: FakeApi) -> None:
    answer(api, SHIPPED)
    by_staff = {**event("order.returned", "order", ago(seconds=1)), "data": {"by": "staff"}}
    api.answer("GET /v1/orders/0190/timeline", {"events": [by_staff]})
    page = (await shopper.get("/orders/0190")).text
    assert "The shop gives you money back." in page
    assert "has arrived" not in page
