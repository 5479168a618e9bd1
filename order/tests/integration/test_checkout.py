"""Checkout: what it costs, when it is refused, and that it happens completely, once, or not at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from chassis.messaging.encryption import Cipher
from chassis.storage.database import connect
from order import ids

Start = Callable[..., Awaitable[Any]]
SHIPPING = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}


async def nothing_happened(order: Any) -> bool:
    """No order, no event, and no used idempotency key."""
    return not any([await order.count(table) for table in ("orders", "outbox", "idempotency_keys")])


async def test_an_accepted_checkout_has_links(order: Any, shopper: UUID) -> None:
    answer = await order.place(shopper)
    assert answer.status_code == 202
    body = answer.json()
    path = f"/v1/orders/{body['order_id']}"
    assert answer.headers["location"] == path
    assert answer.headers["content-type"] == "application/json"
    assert ids.read_number(body["number"]) == body["number"]
    assert body == {
        "order_id": body["order_id"],
        "number": body["number"],
        "status": "pending",
        "total": {"amount": 699, "currency": "GBP"},
        "links": {"self": path, "timeline": f"{path}/timeline", "events": f"{path}/events"},
    }


async def test_an_accepted_checkout_publishes_all_that_other_services_need(order: Any, shopper: UUID) -> None:
    order_id = await order.placed(shopper)
    [(type_, data)] = await order.published()
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert type_ == "order.created"
    assert data["order_id"] == str(order_id)
    assert (data["number"], data["placed_at"]) == (view["number"], view["created_at"])
    assert (data["guest"], data["shipping"]) == (False, None)
    assert data["shopper_id"] == str(shopper)
    assert data["payment_method"] == "pm_card_visa"
    assert data["total"] == {"amount": 699, "currency": "GBP"}
    assert {(line["sku"], line["quantity"], line["unit_price"]) for line in data["lines"]} == {
        ("LANTERN", 2, 250),
        ("MUG", 1, 199),
    }


async def test_an_order_may_stay_pending_until_its_deadline(start: Start, shopper: UUID) -> None:
    order = await start(order_deadline=60)
    order_id = await order.placed(shopper)
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    placed, deadline = (datetime.fromisoformat(view[name]) for name in ("created_at", "deadline"))
    assert deadline - placed == timedelta(seconds=60)


@pytest.mark.parametrize(("asked", "granted"), [(5, 5), (61, 60), (10**15, 60)])
async def test_a_shopper_may_shorten_the_deadline_but_not_extend_it(
    start: Start, shopper: UUID, asked: int, granted: int
) -> None:
    order = await start(order_deadline=60)
    answer = await order.place(shopper, expires_in=asked)
    view = (await order.get(answer.json()["links"]["self"], shopper)).json()
    placed, deadline = (datetime.fromisoformat(view[name]) for name in ("created_at", "deadline"))
    assert deadline - placed == timedelta(seconds=granted)


async def test_the_address_is_published_only_encrypted(order: Any, shopper: UUID, cipher: Cipher) -> None:
    await order.place(shopper, email="grace@example.com", shipping=SHIPPING)
    [(_, data)] = await order.published()
    assert cipher.decrypt(data["contact"]) == "grace@example.com"
    kept = await order.database.fetchrow("SELECT contact, shipping, to_jsonb(orders) AS row FROM orders")
    assert cipher.decrypt(kept["contact"]) == "grace@example.com"
    assert "Hull" in kept["shipping"]
    assert "grace" not in kept["row"]
    assert json.loads(cipher.decrypt(data["shipping"])).items() >= SHIPPING.items()
    assert "Hull" not in str(data)
    assert "grace" not in str([*await order.database.fetch("SELECT body, headers FROM idempotency_keys")])


async def test_an_account_is_written_to_at_its_own_address(order: Any, shopper: UUID, cipher: Cipher) -> None:
    await order.placed(shopper)
    [(_, data)] = await order.published()
    assert cipher.decrypt(data["contact"]) == "ada@example.com"


@pytest.mark.parametrize("typed", ["a@m\u00fcller.de", "a@xn--mller-kva.de", " a@M\u00dcLLER.de"])
async def test_an_address_is_normalised_to_the_form_that_every_mail_server_accepts(
    order: Any, shopper: UUID, cipher: Cipher, typed: str
) -> None:
    assert (await order.place(shopper, email=typed)).status_code == 202
    [(_, data)] = await order.published()
    assert cipher.decrypt(data["contact"]) == "a@xn--mller-kva.de"


async def test_a_guest_needs_an_address(order: Any, shopper: UUID, cipher: Cipher) -> None:
    guest = {"role": "guest", "email": None}
    refused = await order.place(shopper, caller=guest)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/email"
    accepted = await order.place(shopper, caller=guest, email="guest@example.com")
    assert accepted.status_code == 202
    [(_, data)] = await order.published()
    assert cipher.decrypt(data["contact"]) == "guest@example.com"
    assert data["guest"] is True


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"payment_method": "4242424242424242"}, "/payment_method"),
        ({"payment_method": "pm_"}, "/payment_method"),
        ({"payment_method": "pm_4242424242424242"}, "/payment_method"),
        ({"payment_method": "pm_" + "x" * 65}, "/payment_method"),
        ({"email": "nobody"}, "/email"),
        ({"email": f"{'x' * 250}@example.com"}, "/email"),
        ({"email": "\u00e4da@example.com"}, "/email"),
        ({"email": "ada@" + ".".join(["\u00fc" * 30] * 7) + ".de"}, "/email"),
        ({"total": 1}, "/total"),
        ({"shipping": {**SHIPPING, "country": "XX"}}, "/shipping/country"),
        ({"shipping": {**SHIPPING, "country": "gb"}}, "/shipping/country"),
        ({"shipping": {**SHIPPING, "name": " "}}, "/shipping/name"),
        ({"shipping": {**SHIPPING, "street": "x" * 81}}, "/shipping/street"),
        ({"shipping": {**SHIPPING, "city": "a\0b"}}, "/shipping/city"),
        ({"shipping": {**SHIPPING, "name": "Ada\nTotal: 0.00"}}, "/shipping/name"),
        ({"shipping": {**SHIPPING, "street": "1 Main\u2028St"}}, "/shipping/street"),
        ({"shipping": {**SHIPPING, "city": "Hull\u202e"}}, "/shipping/city"),
        ({"shipping": {**SHIPPING, "postcode": "a\0b"}}, "/shipping/postcode"),
        ({"shipping": {**SHIPPING, "floor": "3"}}, "/shipping/floor"),
    ],
)
async def test_an_invalid_field_is_named_and_no_service_is_called(
    order: Any, services: Any, shopper: UUID, change: dict[str, Any], pointer: str
) -> None:
    answer = await order.place(shopper, **change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert services.asked == []
    assert await nothing_happened(order)


async def test_current_prices_apply(order: Any, services: Any, shopper: UUID) -> None:
    await order.place(shopper)
    services.sell("LANTERN", 1000)
    assert (await order.place(shopper)).json()["total"]["amount"] == 2199


async def test_an_empty_cart_is_refused(order: Any, services: Any) -> None:
    answer = await order.place(uuid4())
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/cart-not-orderable"
    assert services.asked == ["cart"]
    assert await nothing_happened(order)


async def test_products_that_cannot_be_ordered_are_named(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("OLD", 100, status="retired")
    services.carts[shopper] |= {"OLD": 1, "UNHEARD": 1}
    answer = await order.place(shopper)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/cart-not-orderable"
    assert {error["sku"] for error in answer.json()["errors"]} == {"OLD", "UNHEARD"}
    assert await nothing_happened(order)


async def test_an_out_of_stock_product_can_be_ordered(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("LANTERN", 250, available=0)
    assert (await order.place(shopper)).status_code == 202


async def test_a_total_below_what_the_provider_charges_is_refused_before_anything_happens(
    order: Any, services: Any, shopper: UUID
) -> None:
    services.sell("SWEET", 10)
    services.carts[shopper] = {"SWEET": 1}
    answer = await order.place(shopper, key="once")
    assert answer.status_code == 422
    assert answer.json() == {
        "type": "/problems/total-not-chargeable",
        "title": "The total cannot be charged",
        "status": 422,
        "detail": "The total is £0.10; the minimum is £0.30.",
        "amount": 10,
        "currency": "GBP",
        "minimum": 30,
        "maximum": 99_999_999,
    }
    assert await nothing_happened(order)
    services.carts[shopper] = {"SWEET": 3}
    assert (await order.place(shopper, key="once")).status_code == 202


async def test_a_product_in_an_unsupported_currency_is_named(
    order: Any, services: Any, shopper: UUID
) -> None:
    services.sell("LANTERN", 250, currency="IQD")
    answer = await order.place(shopper)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/cart-not-orderable"
    assert [error["sku"] for error in answer.json()["errors"]] == ["LANTERN"]
    assert await nothing_happened(order)


async def test_a_free_order_needs_no_payment_method(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("SAMPLE", 0)
    services.carts[shopper] = {"SAMPLE": 2}
    for given in (None, "pm_card_visa"):
        answer = await order.place(shopper, payment_method=given)
        assert answer.status_code == 202
        assert answer.json()["total"] == {"amount": 0, "currency": "GBP"}
    for _, data in await order.published():
        assert (data["total"]["amount"], data["payment_method"]) == (0, "")


async def test_an_order_that_is_not_free_needs_one(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("SAMPLE", 0)
    services.carts[shopper]["SAMPLE"] = 1
    answer = await order.place(shopper, key="once", payment_method=None)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/payment_method"]
    assert await nothing_happened(order)
    assert (await order.place(shopper, key="twice")).json()["total"]["amount"] == 699


async def test_one_order_has_one_currency(order: Any, services: Any, shopper: UUID) -> None:
    services.sell("LANTERN", 250, currency="EUR")
    answer = await order.place(shopper)
    assert answer.status_code == 422
    assert "EUR, GBP" in answer.json()["detail"]


async def test_a_cart_of_a_thousand_lines_is_ordered_and_a_longer_one_refused(
    order: Any, services: Any
) -> None:
    shopper = uuid4()
    for n in range(1001):
        services.sell(f"P{n}", 1)
    services.carts[shopper] = {f"P{n}": 1 for n in range(1000)}
    answer = await order.place(shopper)
    assert answer.json()["total"]["amount"] == 1000
    assert services.asked == ["cart", "product", "product"]
    services.carts[shopper]["P1000"] = 1
    assert (await order.place(shopper)).status_code == 422


@pytest.mark.parametrize("name", ["cart", "product"])
async def test_an_unavailable_service_gets_503_with_retry_after(
    order: Any, services: Any, shopper: UUID, name: str
) -> None:
    services.down.add(name)
    answer = await order.place(shopper, key="once")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"
    assert await nothing_happened(order)
    services.down.clear()
    assert (await order.place(shopper, key="once")).status_code == 202


async def test_a_checkout_that_is_sent_twice_happens_once(order: Any, services: Any, shopper: UUID) -> None:
    first = await order.place(shopper, key="once")
    services.carts[shopper] = {}
    again = await order.place(shopper, key="once")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == "application/json"
    assert await order.count("orders") == 1
    assert services.asked == ["cart", "product"]


async def test_a_repeat_of_a_running_checkout_does_not_start_another(
    order: Any, services: Any, shopper: UUID
) -> None:
    services.held.clear()
    first = asyncio.create_task(order.place(shopper, key="once"))
    while not services.asked:
        await asyncio.sleep(0.01)
    assert (await order.place(shopper, key="once")).status_code == 409
    services.held.set()
    assert (await first).status_code == 202
    assert await order.count("orders") == 1


async def test_a_checkout_that_cannot_be_published_is_not_committed(
    order: Any, shopper: UUID, as_operator: Callable[[Any], str]
) -> None:
    operator = connect(as_operator(order.engine.url), pool_size=2, statement_timeout=10)
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE outbox RENAME TO lost"))
    assert (await order.place(shopper, key="once")).status_code == 500
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE lost RENAME TO outbox"))
    await operator.dispose()
    assert await nothing_happened(order)
    assert (await order.place(shopper, key="once")).status_code == 202


async def test_a_checkout_overtaken_by_its_repeat_is_not_committed(
    order: Any, services: Any, shopper: UUID
) -> None:
    services.held.clear()
    slow = asyncio.create_task(order.place(shopper, key="once"))
    while not services.asked:
        await asyncio.sleep(0.01)
    await order.database.execute("UPDATE idempotency_keys SET locked_until = now() - interval '1 second'")
    repeat = asyncio.create_task(order.place(shopper, key="once"))
    while len(services.asked) < 2:
        await asyncio.sleep(0.01)
    services.held.set()
    answers = sorted([await slow, await repeat], key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [202, 409]
    assert await order.count("orders") == await order.count("outbox") == 1
    assert (await order.place(shopper, key="once")).json() == answers[0].json()


async def test_an_idempotency_key_is_for_one_request(order: Any, shopper: UUID) -> None:
    await order.place(shopper, key="once")
    other = await order.place(shopper, key="once", payment_method="pm_card_mastercard")
    assert other.status_code == 422
    assert await order.count("orders") == 1


async def test_shoppers_do_not_share_keys(order: Any, services: Any, shopper: UUID) -> None:
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    answers = [await order.place(one, key="same") for one in (shopper, other)]
    assert len({answer.json()["order_id"] for answer in answers}) == 2


async def test_a_checkout_needs_a_key_and_a_token(order: Any, shopper: UUID, bearer: Any) -> None:
    body = {"payment_method": "pm_card_visa"}
    keyless = await order.http.post("/v1/orders", json=body, headers=bearer(shopper))
    assert keyless.status_code == 400
    nobody = await order.http.post("/v1/orders", json=body, headers={"Idempotency-Key": "x"})
    assert nobody.status_code == 401


async def test_a_shopper_has_a_maximum_number_of_pending_orders(start: Start, shopper: UUID) -> None:
    order = await start(max_open_orders=2)
    first = await order.placed(shopper)
    await order.placed(shopper)
    refused = await order.place(shopper, key="third")
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/too-many-open-orders"
    assert await order.count("orders") == 2
    await order.cancel(first, shopper)
    assert (await order.place(shopper, key="third")).status_code == 202


async def test_the_limit_on_open_orders_holds_for_checkouts_at_the_same_moment(
    start: Start, shopper: UUID
) -> None:
    order = await start(max_open_orders=3)
    answers = await asyncio.gather(*(order.place(shopper) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [409] * 9
    assert await order.count("orders") == 3


async def test_lines_per_minute_are_limited_with_a_retry_after(
    start: Start, services: Any, shopper: UUID
) -> None:
    order = await start(max_lines=2, lines_per_minute=4, guest_lines_per_minute=2)
    for _ in range(2):
        await order.placed(shopper)
    services.asked.clear()
    refused = await order.place(shopper)
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-lines")
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    services.asked.clear()
    assert (await order.place(shopper)).status_code == 429
    assert services.asked == []
    assert await order.count("orders") == 2
    other = uuid4()
    services.carts[other] = {"MUG": 1}
    assert (await order.place(other)).status_code == 202


async def test_a_guest_orders_fewer_lines_a_minute_than_an_account(start: Start, shopper: UUID) -> None:
    order = await start(max_lines=2, lines_per_minute=4, guest_lines_per_minute=2)
    guest = {"role": "guest", "email": None}
    answers = [await order.place(shopper, caller=guest, email="ada@example.com") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]


async def test_lines_are_counted_across_replicas(start: Start, shopper: UUID) -> None:
    copies = [await start(max_lines=2, lines_per_minute=4, guest_lines_per_minute=2) for _ in range(3)]
    answers = [await copy.place(shopper) for copy in copies]
    assert [answer.status_code for answer in answers] == [202, 202, 429]


async def test_a_repeat_gets_the_stored_response_even_beyond_the_limit(start: Start, shopper: UUID) -> None:
    order = await start(max_lines=2, lines_per_minute=2, guest_lines_per_minute=2)
    first = await order.place(shopper, key="once")
    assert (await order.place(shopper)).status_code == 429
    again = await order.place(shopper, key="once")
    assert (again.status_code, again.json()) == (202, first.json())


async def test_a_cart_with_an_invalid_sku_is_refused_without_reading_prices(
    order: Any, services: Any, shopper: UUID
) -> None:
    hostile = uuid4()
    services.carts[hostile] = {"\U0001f600" * 28 + f"{n:04}": 1 for n in range(300)}
    answers = await asyncio.gather(*(order.place(one) for one in (hostile, shopper)))
    assert [answer.status_code for answer in answers] == [422, 202]
    assert len(answers[0].json()["errors"]) == 300


async def test_a_read_that_product_rejects_gets_500_and_fails_nobody_else(
    order: Any, services: Any, shopper: UUID
) -> None:
    guilty = uuid4()
    services.carts[guilty] = {"POISON": 1}
    services.poison = "POISON"
    with capture_logs() as logs:
        answers = await asyncio.gather(*(order.place(one) for one in (guilty, shopper)))
    assert [answer.status_code for answer in answers] == [500, 202]
    [failure] = [log for log in logs if log["log_level"] == "error"]
    assert failure["event"] == "request failed"


async def test_checkouts_at_the_same_moment_share_their_reads(order: Any, services: Any) -> None:
    shoppers = [uuid4() for _ in range(20)]
    services.sell("MUG", 199)
    for one in shoppers:
        services.carts[one] = {"MUG": 1}
    answers = await asyncio.gather(*(order.place(one) for one in shoppers))
    assert {answer.status_code for answer in answers} == {202}
    assert services.asked.count("cart") == 20
    assert services.asked.count("product") < 20


async def test_newer_orders_have_greater_ids(order: Any, shopper: UUID) -> None:
    ids = [await order.placed(shopper) for _ in range(3)]
    assert {one.version for one in ids} == {7}
    assert ids[0].int >> 80 <= ids[1].int >> 80 <= ids[2].int >> 80
