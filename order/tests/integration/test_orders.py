"""Reading, listing and cancelling orders."""

import asyncio
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from contracts import Money, PaymentDeclined, ShortLine
from contracts.testing import payment_refunded, stock_rejected, stock_released, stock_reserved

SHIPPING = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}


async def test_an_owner_reads_the_whole_order(order: Any, shopper: UUID) -> None:
    placed = (await order.place(shopper, shipping=SHIPPING)).json()
    view = (await order.get(placed["links"]["self"], shopper)).json()
    assert view | placed == view
    assert view["shopper_id"] == str(shopper)
    assert view["shipping"].items() >= SHIPPING.items()
    assert sorted(view["lines"], key=lambda line: str(line["sku"])) == [
        {"sku": "LANTERN", "name": "Product LANTERN", "quantity": 2, "unit_price": 250},
        {"sku": "MUG", "name": "Product MUG", "quantity": 1, "unit_price": 199},
    ]
    assert view["created_at"].endswith("Z")
    later = ["paid_at", "cancelled_at", "reason", "stock_released_at", "voided_at", "refunded_at"]
    assert [view[name] for name in later] == [None] * 6
    assert view["short"] == []


async def test_an_order_shows_that_it_was_paid(order: Any, paid: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert view["status"] == "paid"
    assert view["paid_at"]


async def test_an_order_shows_what_was_short(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    short = ShortLine(sku="LANTERN", wanted=2, available=1)
    await order.consume(stock_rejected(order_id=order_id, short=(short,)))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert (view["status"], view["reason"]) == ("cancelled", "out_of_stock")
    assert view["short"] == [{"sku": "LANTERN", "wanted": 2, "available": 1}]


async def test_a_pending_order_is_cancelled_at_once(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    answer = await order.cancel(order_id, shopper)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["reason"]) == ("cancelled", "shopper")
    assert [(type_, data.get("was_paid")) for type_, data in await order.published()] == [
        ("order.created", None),
        ("order.cancelled", False),
    ]


async def test_a_second_cancel_has_no_effect(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    first, *others = await asyncio.gather(*(order.cancel(order_id, shopper) for _ in range(5)))
    assert all(other.json() == first.json() and other.status_code == 200 for other in others)
    assert [type_ for type_, _ in await order.published()] == ["order.created", "order.cancelled"]


async def test_an_order_that_failed_can_be_cancelled_and_stays_as_it_was(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(PaymentDeclined(order_id=order_id, code="expired_card"))
    answer = await order.cancel(order_id, shopper)
    assert (answer.status_code, answer.json()["reason"]) == (200, "payment_declined")


async def test_a_paid_order_can_be_returned_and_shows_what_was_undone(
    order: Any, paid: Any, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    assert (await order.cancel(order_id, shopper)).json()["status"] == "cancelled"
    [_, (type_, data)] = await order.published()
    assert (type_, data["was_paid"], data["reason"]) == ("order.cancelled", True, "shopper")
    total = Money(amount=699, currency="GBP")
    await order.consume(
        stock_released(order_id=order_id, restocked=True),
        payment_refunded(order_id=order_id, total=total),
    )
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert all(view[name] for name in ("paid_at", "cancelled_at", "stock_released_at", "refunded_at"))


async def test_a_payment_that_crosses_a_cancel_changes_nothing(order: Any, paid: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.cancel(order_id, shopper)
    await order.consume(paid(order_id))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert (view["status"], view["paid_at"]) == ("cancelled", None)


async def test_a_redelivered_event_is_in_the_timeline_once_even_without_the_inbox(
    order: Any, paid: Any, shopper: UUID
) -> None:
    order_id = await order.placed(shopper)
    for _ in range(2):  # here nobody asks an inbox
        await order.consume(stock_reserved(order_id=order_id), paid(order_id))
    assert await order.count("timeline") == 2


async def test_the_timeline_is_in_order_of_time(order: Any, paid: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.consume(stock_reserved(order_id=order_id), paid(order_id))
    timeline = (await order.get(f"/v1/orders/{order_id}/timeline", shopper)).json()
    assert timeline["order_id"] == str(order_id)
    assert [(event["type"], event["said_by"]) for event in timeline["events"]] == [
        ("stock.reserved", "product"),
        ("order.paid", "payment"),
    ]
    reserved = timeline["events"][0]
    assert reserved["id"] == f"stock.reserved/{order_id}"
    assert reserved["causation_id"] == "cause/1"
    assert "encrypted" not in str(timeline)


async def test_an_order_without_events_yet_has_an_empty_timeline(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    timeline = await order.get(f"/v1/orders/{order_id}/timeline", shopper)
    assert (timeline.status_code, timeline.json()["events"]) == (200, [])


async def test_orders_are_listed_in_pages_newest_first(order: Any, shopper: UUID) -> None:
    ids = [str(await order.placed(shopper)) for _ in range(5)]
    seen: list[str] = []
    path, pages = "/v1/orders?limit=2", 0
    while path:
        page = (await order.get(path, shopper)).json()
        seen += [item["order_id"] for item in page["items"]]
        path = f"/v1/orders?limit=2&before={page['next']}" if page["next"] else ""
        pages += 1
    assert seen == sorted(ids, reverse=True)
    assert pages == 3


async def test_orders_are_listed_by_status(order: Any, shopper: UUID) -> None:
    kept, gone = await order.placed(shopper), await order.placed(shopper)
    await order.cancel(gone, shopper)
    for status, expected in (("pending", [kept]), ("cancelled", [gone]), ("paid", [])):
        page = (await order.get(f"/v1/orders?status={status}", shopper)).json()
        assert [item["order_id"] for item in page["items"]] == [str(one) for one in expected]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "status=lost", "before=x", "id=1", "&".join(["id=" + str(UUID(int=1))] * 101)],
)
async def test_a_list_has_bounds(order: Any, shopper: UUID, query: str) -> None:
    assert (await order.get(f"/v1/orders?{query}", shopper)).status_code == 422


async def test_administrators_list_everybodys_orders(order: Any, services: Any, shopper: UUID) -> None:
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    ids = {one: str(await order.placed(one)) for one in (shopper, other)}

    async def listed(query: str, who: UUID, role: str) -> set[str]:
        page = await order.get(f"/v1/orders?{query}", who, role=role)
        return {item["order_id"] for item in page.json()["items"]}

    assert await listed("", uuid4(), "admin") == set(ids.values())
    assert await listed(f"shopper_id={other}", uuid4(), "admin") == {ids[other]}
    assert await listed(f"id={ids[other]}&id={uuid4()}", uuid4(), "admin") == {ids[other]}
    assert await listed(f"id={ids[other]}&id={ids[shopper]}", shopper, "shopper") == {ids[shopper]}
    assert (await order.get(f"/v1/orders?shopper_id={other}", shopper)).status_code == 403


CALLERS: dict[str, dict[str, Any]] = {
    "owner": {"role": "shopper"},
    "guest owner": {"role": "guest", "email": None},
    "other shopper": {"role": "shopper"},
    "other guest": {"role": "guest", "email": None},
    "reader": {"role": "reader"},
    "admin": {"role": "admin"},
}
MAY = {
    ("GET", ""): {"owner": 200, "guest owner": 200, "reader": 200, "admin": 200},
    ("GET", "/timeline"): {"owner": 200, "guest owner": 200, "reader": 200, "admin": 200},
    ("GET", "/events"): {"owner": 200, "guest owner": 200, "reader": 200, "admin": 200},
    ("POST", "/cancel"): {"owner": 200, "guest owner": 200, "reader": 403, "admin": 422},
    ("GET", "/returns"): {"owner": 200, "guest owner": 200, "reader": 200, "admin": 200},
}


@pytest.mark.parametrize(("route", "who"), [*product(MAY, CALLERS)], ids=str)
async def test_an_order_is_visible_only_to_its_owner(
    order: Any, paid: Any, shopper: UUID, bearer: Any, route: tuple[str, str], who: str
) -> None:
    order_id = await order.placed(shopper)
    await order.consume(paid(order_id))
    method, path = route
    caller = shopper if "owner" in who else uuid4()
    answer = await order.http.request(
        method, f"/v1/orders/{order_id}{path}", headers=bearer(caller, **CALLERS[who])
    )
    assert answer.status_code == MAY[route].get(who, 404)
    still = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert still["status"] == ("cancelled" if path == "/cancel" and "owner" in who else "paid")


async def test_a_request_for_another_shoppers_order_is_logged(order: Any, shopper: UUID) -> None:
    order_id, stranger = await order.placed(shopper), uuid4()
    with capture_logs() as logs:
        await order.get(f"/v1/orders/{order_id}", stranger)
        await order.get(f"/v1/orders/{order_id}", shopper)
        await order.get(f"/v1/orders/{uuid4()}", stranger)
    [noted] = [line for line in logs if line["event"] == "foreign order refused"]
    assert (noted["account"], noted["role"]) == (str(stranger), "shopper")


@pytest.mark.parametrize(("method", "path"), [*MAY, ("GET", None), ("POST", None)])
async def test_without_a_token_orders_get_401(order: Any, method: str, path: str | None) -> None:
    url = "/v1/orders" if path is None else f"/v1/orders/{uuid4()}{path}"
    assert (await order.http.request(method, url)).status_code == 401


@pytest.mark.parametrize(("method", "path"), MAY)
async def test_an_unknown_order_gets_the_same_response_as_another_shoppers(
    order: Any, shopper: UUID, bearer: Any, method: str, path: str
) -> None:
    other = await order.placed(shopper)
    stranger = bearer(uuid4())
    missing = await order.http.request(method, f"/v1/orders/{uuid4()}{path}", headers=stranger)
    anothers = await order.http.request(method, f"/v1/orders/{other}{path}", headers=stranger)
    assert (missing.status_code, missing.content) == (anothers.status_code, anothers.content)
    assert missing.status_code == 404


async def test_a_lost_connection_costs_at_most_a_retry(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    await order.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    answers = [(await order.get(f"/v1/orders/{order_id}", shopper)).status_code for _ in range(6)]
    assert set(answers) <= {200, 503}
    assert answers[-1] == 200
