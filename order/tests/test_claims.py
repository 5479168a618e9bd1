"""An account claims an order that was placed as a guest, by the link in its receipt."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from chassis.http.tickets import Tickets
from contracts import CLAIM_PURPOSE, GuestMerged, OrderPaid

from .conftest import CONTACT_KEY

Start = Callable[..., Awaitable[Any]]
GUEST: dict[str, Any] = {"role": "guest", "email": None}
ADDRESS = "Ada@Example.com"  # as accounts have it, but for the case
HOUR = 3600


def link(order_id: UUID, lasts: float = HOUR, key: str = CONTACT_KEY, purpose: str = CLAIM_PURPOSE) -> str:
    """The token of the link in the receipt."""
    return Tickets([key], purpose).issue({"order_id": str(order_id)}, time.time() + lasts)


@pytest.fixture
def claim(order: Any, bearer: Any) -> Callable[..., Awaitable[Any]]:
    async def send(token: str, account: UUID, **caller: Any) -> Any:
        headers = bearer(account, **caller)
        return await order.http.post("/v1/order-claims", json={"token": token}, headers=headers)

    return send


@pytest.fixture
async def order_id(order: Any, shopper: UUID) -> UUID:
    placed = await order.place(shopper, caller=GUEST, email=ADDRESS)
    return UUID(placed.json()["order_id"])


def kind(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_whoever_has_the_link_and_an_account_of_that_address_has_the_order(
    order: Any, order_id: UUID, shopper: UUID, claim: Any
) -> None:
    account = uuid4()
    claimed = await claim(link(order_id), account)
    assert claimed.status_code == 200, claimed.text
    assert claimed.json()["shopper_id"] == str(account)
    assert claimed.json() == (await order.get(f"/v1/orders/{order_id}", account)).json()
    listed = (await order.get("/v1/orders", account)).json()["items"]
    assert [item["order_id"] for item in listed] == [str(order_id)]
    assert (await order.get(f"/v1/orders/{order_id}", shopper, **GUEST)).status_code == 404
    assert (await order.get("/v1/orders", shopper, **GUEST)).json()["items"] == []


async def test_a_claimed_order_is_paid_as_it_was_placed_and_is_its_new_owners_to_cancel(
    order: Any, order_id: UUID, claim: Any, paid: Callable[[UUID], OrderPaid]
) -> None:
    account = uuid4()
    await claim(link(order_id), account)
    await order.consume(paid(order_id))
    assert (await order.get(f"/v1/orders/{order_id}", account)).json()["status"] == "paid"
    assert (await order.cancel(order_id, account)).json()["status"] == "cancelled"


async def test_a_link_is_good_once_and_again_for_whoever_used_it(order_id: UUID, claim: Any) -> None:
    account = uuid4()
    first = await claim(link(order_id), account)
    assert (await claim(link(order_id, 2 * HOUR), account)).json() == first.json()
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")


async def test_of_two_who_claim_at_the_same_moment_one_has_the_order(
    order: Any, order_id: UUID, claim: Any
) -> None:
    accounts = [uuid4() for _ in range(6)]
    answers = await asyncio.gather(*(claim(link(order_id), account) for account in accounts))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    owner = next(a.json()["shopper_id"] for a in answers if a.status_code == 200)
    assert await order.database.fetchval("SELECT claimed_by FROM orders") == UUID(owner)


async def test_what_a_guests_account_has_nobody_else_claims(
    order: Any, order_id: UUID, shopper: UUID, claim: Any
) -> None:
    account = uuid4()
    await order.consume(GuestMerged(guest_id=shopper, user_id=account))
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")
    assert (await claim(link(order_id), account)).status_code == 200
    assert await order.database.fetchval("SELECT claimed_by FROM orders") is None


async def test_who_logs_in_later_as_the_guest_does_not_take_a_claimed_order_away(
    order: Any, order_id: UUID, shopper: UUID, claim: Any
) -> None:
    account, other = uuid4(), uuid4()
    await claim(link(order_id), account)
    await order.consume(GuestMerged(guest_id=shopper, user_id=other))
    assert (await order.get(f"/v1/orders/{order_id}", account)).status_code == 200
    assert (await order.get(f"/v1/orders/{order_id}", other)).status_code == 404
    assert (await order.get("/v1/orders", other)).json()["items"] == []


async def test_an_expired_link_says_so(order_id: UUID, claim: Any) -> None:
    assert kind(await claim(link(order_id, -1), uuid4())) == (410, "claim-link-expired")


async def test_what_is_no_link_of_ours_is_none_for_one_reason(order_id: UUID, claim: Any) -> None:
    good = link(order_id)
    answers = [
        await claim(token, uuid4())
        for token in (
            f"{good[:-1]}{'A' if good[-1] != 'A' else 'Q'}",
            link(order_id, key=Fernet.generate_key().decode()),
            link(order_id, purpose="an order's event stream"),
            link(uuid4()),
            "",
            "x",
        )
    ]
    assert {kind(answer) for answer in answers} == {(422, "claim-link-not-valid")}
    assert len({answer.content for answer in answers}) == 1
    assert (await claim("x" * 513, uuid4())).status_code == 422


async def test_an_account_of_another_address_gets_nothing_for_the_link_alone(
    order: Any, order_id: UUID, claim: Any
) -> None:
    with capture_logs() as logs:
        for email in ("eve@example.com", None):
            answer = await claim(link(order_id), uuid4(), email=email)
            assert kind(answer) == (403, "claim-needs-the-address")
    assert "ada@" not in str(logs).lower()
    assert await order.database.fetchval("SELECT claimed_by FROM orders") is None


async def test_a_guest_claims_nothing(order_id: UUID, claim: Any) -> None:
    assert (await claim(link(order_id), uuid4(), role="guest")).status_code == 403


async def test_an_accounts_order_is_not_to_be_claimed(order: Any, shopper: UUID, claim: Any) -> None:
    order_id = await order.placed(shopper)
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")
    assert (await claim(link(order_id), shopper)).status_code == 200


async def test_a_claim_opens_no_stream_and_a_streams_ticket_claims_nothing(
    order: Any, order_id: UUID, shopper: UUID, claim: Any, bearer: Any
) -> None:
    stream = await order.http.get(f"/v1/orders/{order_id}/events", params={"ticket": link(order_id)})
    assert stream.status_code == 401
    issued = await order.http.post(f"/v1/orders/{order_id}/events/ticket", headers=bearer(shopper, **GUEST))
    assert kind(await claim(issued.json()["ticket"], uuid4())) == (422, "claim-link-not-valid")
