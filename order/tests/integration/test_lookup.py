"""Looking an order up by its number and the address that it was placed with."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from chassis.messaging.encryption import Cipher
from contracts import PaymentDeclined
from contracts.testing import payment_action_required
from order import ids

from ..conftest import ACTION_KEY, CONTACT_KEY

Start = Callable[..., Awaitable[Any]]
GUEST: dict[str, Any] = {"role": "guest", "email": None}
SHIPPING = {
    "name": "Ada L",
    "company": "Engines & Co.",
    "street": "1 Mill Lane",
    "line2": "Floor 3",
    "city": "York",
    "state": "Yorkshire",
    "postcode": "YO1",
    "country": "GB",
    "phone": "01904 555 0100",
    "vat_id": "GB123456789",
}
EMAIL = "Ada@example.com"


async def placed(order: Any, guest: UUID) -> dict[str, Any]:
    answer = await order.place(guest, caller=GUEST, email=EMAIL, shipping=SHIPPING)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def look_up(order: Any, number: str, email: str = EMAIL, client: str = "203.0.113.9") -> Any:
    body = {"number": number, "email": email}
    return await order.http.post("/v1/order-lookups", json=body, headers={"X-Forwarded-For": client})


async def test_a_lookup_shows_the_state_of_an_order(order: Any, shopper: UUID) -> None:
    number = (await placed(order, shopper))["number"]
    for typed, email in (
        (number, EMAIL),
        (number.lower().replace("-", " "), "ada@EXAMPLE.com"),
    ):
        answer = await look_up(order, typed, email)
        assert answer.status_code == 200, answer.text
        view = answer.json()
        assert (view["number"], view["status"], view["total"]["amount"]) == (number, "pending", 699)
        assert {line["name"] for line in view["lines"]} == {"Product LANTERN", "Product MUG"}


async def test_a_lookup_shows_no_name_or_address(order: Any, shopper: UUID) -> None:
    number = (await placed(order, shopper))["number"]
    shown = (await look_up(order, number)).text
    for private in (*SHIPPING.values(), "ada", str(shopper), "pm_card"):
        if private != "GB":  # which is a part of the currency's code, too
            assert private not in shown


async def test_a_lookup_shows_why_the_order_was_cancelled(order: Any, shopper: UUID) -> None:
    accepted = await placed(order, shopper)
    await order.consume(PaymentDeclined(order_id=UUID(accepted["order_id"]), code="expired_card"))
    view = (await look_up(order, accepted["number"])).json()
    assert (view["status"], view["reason"]) == ("cancelled", "payment_declined")


async def test_a_lookup_opens_only_the_orders_own_stream(order: Any, paid: Any, shopper: UUID) -> None:
    accepted, other = await placed(order, shopper), await placed(order, shopper)
    await order.consume(paid(UUID(accepted["order_id"])))
    href = (await look_up(order, accepted["number"])).json()["events"]["href"]
    async with asyncio.timeout(10), order.http.stream("GET", href) as answer:
        assert answer.status_code == 200
        assert '"status":"paid"' in (await answer.aread()).decode()
    elsewhere = href.replace(accepted["order_id"], other["order_id"])
    assert (await order.http.get(elsewhere)).status_code == 401


async def test_a_lookup_and_its_stream_show_the_confirmation_page(order: Any, shopper: UUID) -> None:
    accepted = await placed(order, shopper)
    page, soon = (
        Cipher([ACTION_KEY]).encrypt("https://bank.example/3ds"),
        datetime.now(UTC) + timedelta(minutes=5),
    )
    order_id = UUID(accepted["order_id"])
    await order.consume(payment_action_required(order_id=order_id, url=page, expires_at=soon))
    view = (await look_up(order, accepted["number"])).json()
    assert view["action"]["url"] == "https://bank.example/3ds"
    async with asyncio.timeout(10), order.http.stream("GET", view["events"]["href"]) as answer:
        received = ""
        async for chunk in answer.aiter_text():
            received += chunk
            if "event: order" in received:
                break
    assert '"url":"https://bank.example/3ds"' in received


async def test_an_unknown_number_and_a_wrong_address_get_the_same_response(order: Any, shopper: UUID) -> None:
    number = (await placed(order, shopper))["number"]
    wrong = await look_up(order, number, "eve@example.com")
    unknown = await look_up(order, ids.new_number())
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong.status_code == 404
    names = set(wrong.headers) - {"date"}
    assert {name: wrong.headers[name] for name in names} == {name: unknown.headers[name] for name in names}


async def test_an_unknown_number_costs_the_same_work_as_a_wrong_address(
    order: Any, shopper: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await placed(order, shopper))["number"]
    work: list[str] = []
    opened = Cipher.decrypt

    def open_(self: Cipher, encrypted: str) -> str:
        work.append("opened")
        return opened(self, encrypted)

    monkeypatch.setattr(Cipher, "decrypt", open_)
    for asked in (number, ids.new_number()):
        work.clear()
        assert (await look_up(order, asked, "eve@example.com")).status_code == 404
        assert work == ["opened"]


async def test_guesses_of_a_numbers_address_are_limited_across_networks(start: Start, shopper: UUID) -> None:
    order = await start(lookups_per_number=3)
    number = (await placed(order, shopper))["number"]
    guesses = [
        (await look_up(order, number, f"eve{n}@example.com", f"203.0.113.{n}")).status_code for n in range(4)
    ]
    assert guesses == [404] * 3 + [429]
    refused = await look_up(order, number)
    assert refused.status_code == 429, "even the right address is refused"
    assert refused.json()["type"] == "/problems/too-many-attempts"
    assert 0 < int(refused.headers["retry-after"]) <= 901


async def test_an_unknown_number_is_throttled_too(start: Start) -> None:
    order = await start(lookups_per_number=1)
    number = ids.new_number()
    assert [(await look_up(order, number)).status_code for _ in range(2)] == [404, 429]


async def test_guesses_of_numbers_are_limited_per_network(start: Start, shopper: UUID) -> None:
    order = await start(lookups_per_network=3)
    number = (await placed(order, shopper))["number"]
    assert [(await look_up(order, ids.new_number())).status_code for _ in range(4)] == [404] * 3 + [429]
    assert (await look_up(order, number)).status_code == 429
    assert (await look_up(order, number, client="198.51.100.7")).status_code == 200


async def test_concurrent_guesses_are_limited_too(start: Start, shopper: UUID) -> None:
    order = await start(lookups_per_number=3)
    number = (await placed(order, shopper))["number"]
    answers = await asyncio.gather(*(look_up(order, number, f"guess{n}@example.com") for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [404] * 3 + [429] * 7


async def test_successful_lookups_do_not_count_and_clear_mistyped_ones(start: Start, shopper: UUID) -> None:
    order = await start(lookups_per_number=2, lookups_per_network=2)
    number = (await placed(order, shopper))["number"]
    assert {(await look_up(order, number)).status_code for _ in range(5)} == {200}
    assert (await look_up(order, number, "eve@example.com")).status_code == 404
    assert (await look_up(order, number)).status_code == 200


async def test_after_the_window_lookups_work_again(start: Start, shopper: UUID) -> None:
    order = await start(lookups_per_number=1)
    number = (await placed(order, shopper))["number"]
    assert [(await look_up(order, number, "eve@example.com")).status_code for _ in range(2)] == [404, 429]
    await order.database.execute("UPDATE attempt SET resets_at = now()")
    assert (await look_up(order, number)).status_code == 200


async def test_neither_logs_nor_counters_show_what_was_tried(order: Any, shopper: UUID) -> None:
    number = (await placed(order, shopper))["number"]
    with capture_logs() as logs:
        await look_up(order, number, "eve@example.com")
        await look_up(order, number)
    logged = json.dumps(logs, default=str)
    for private in ("eve@", "ada@", number, "203.0.113.9"):
        assert private not in logged
    assert "203.0.113.0/24" in logged
    assert {len(row["bucket"]) for row in await order.database.fetch("SELECT bucket FROM attempt")} == {32}


@pytest.mark.parametrize(
    "body",
    [{}, {"number": "x", "email": EMAIL}, {"number": "K7Q2X-9XMDA", "email": "x"}, {"number": 1, "email": 2}],
)
async def test_an_invalid_number_or_address_is_refused_before_it_counts(order: Any, body: Any) -> None:
    assert (await order.http.post("/v1/order-lookups", json=body)).status_code == 422
    assert await order.count("attempt") == 0


async def test_an_undecryptable_contact_looks_like_an_unknown_number(start: Start, shopper: UUID) -> None:
    number = (await placed(await start(), shopper))["number"]
    order = await start(contact_key=Fernet.generate_key().decode())
    with capture_logs() as logs:
        lost, unknown = await look_up(order, number), await look_up(order, ids.new_number())
    assert (lost.status_code, lost.content) == (unknown.status_code, unknown.content)
    assert [line["log_level"] for line in logs if "CONTACT_KEY" in line["event"]] == ["error"]
    rotated = await start(contact_key=f"{Fernet.generate_key().decode()},{CONTACT_KEY}")
    assert (await look_up(rotated, number)).status_code == 200
