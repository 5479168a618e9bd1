"""An account claims an order that was placed as a guest, with the link in the receipt."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from chassis.messaging.encryption import Tickets
from contracts import CLAIM_PURPOSE, OrderPaid
from contracts.testing import guest_merged

from ..conftest import CONTACT_KEY

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


async def test_the_link_and_an_account_with_the_address_claim_the_order(
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


async def test_a_claimed_order_is_paid_as_placed_and_the_new_owner_can_cancel_it(
    order: Any, order_id: UUID, claim: Any, paid: Callable[[UUID], OrderPaid]
) -> None:
    account = uuid4()
    await claim(link(order_id), account)
    await order.consume(paid(order_id))
    assert (await order.get(f"/v1/orders/{order_id}", account)).json()["status"] == "paid"
    assert (await order.cancel(order_id, account)).json()["status"] == "cancelled"


async def test_a_link_can_be_used_once_and_repeated_by_the_same_account(order_id: UUID, claim: Any) -> None:
    account = uuid4()
    first = await claim(link(order_id), account)
    assert (await claim(link(order_id, 2 * HOUR), account)).json() == first.json()
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")


async def test_of_two_concurrent_claims_one_succeeds(order: Any, order_id: UUID, claim: Any) -> None:
    accounts = [uuid4() for _ in range(6)]
    answers = await asyncio.gather(*(claim(link(order_id), account) for account in accounts))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    owner = next(a.json()["shopper_id"] for a in answers if a.status_code == 200)
    assert await order.database.fetchval("SELECT claimed_by FROM orders") == UUID(owner)


async def test_an_order_that_moved_to_the_guests_account_cannot_be_claimed_by_another(
    order: Any, order_id: UUID, shopper: UUID, claim: Any
) -> None:
    account = uuid4()
    await order.consume(guest_merged(guest_id=shopper, user_id=account))
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")
    assert (await claim(link(order_id), account)).status_code == 200
    assert await order.database.fetchval("SELECT claimed_by FROM orders") is None


async def test_a_later_login_of_the_guest_does_not_take_a_claimed_order(
    order: Any, order_id: UUID, shopper: UUID, claim: Any
) -> None:
    account, other = uuid4(), uuid4()
    await claim(link(order_id), account)
    await order.consume(guest_merged(guest_id=shopper, user_id=other))
    assert (await order.get(f"/v1/orders/{order_id}", account)).status_code == 200
    assert (await order.get(f"/v1/orders/{order_id}", other)).status_code == 404
    assert (await order.get("/v1/orders", other)).json()["items"] == []


async def test_an_expired_link_says_so(order_id: UUID, claim: Any) -> None:
    assert kind(await claim(link(order_id, -1), uuid4())) == (410, "claim-link-expired")


async def test_every_invalid_link_gets_the_same_response(order_id: UUID, claim: Any) -> None:
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


async def test_an_account_with_another_address_cannot_claim_with_the_link(
    order: Any, order_id: UUID, claim: Any
) -> None:
    with capture_logs() as logs:
        for email in ("eve@example.com", None):
            answer = await claim(link(order_id), uuid4(), email=email)
            assert kind(answer) == (403, "claim-needs-the-address")
    assert "ada@" not in str(logs).lower()
    assert await order.database.fetchval("SELECT claimed_by FROM orders") is None


async def test_a_guest_cannot_claim(order_id: UUID, claim: Any) -> None:
    assert (await claim(link(order_id), uuid4(), role="guest")).status_code == 403


async def test_an_accounts_order_cannot_be_claimed(order: Any, shopper: UUID, claim: Any) -> None:
    order_id = await order.placed(shopper)
    assert kind(await claim(link(order_id), uuid4())) == (409, "claim-link-used")
    assert (await claim(link(order_id), shopper)).status_code == 200


async def test_claim_tokens_and_stream_tickets_are_not_interchangeable(
    order: Any, order_id: UUID, shopper: UUID, claim: Any, bearer: Any
) -> None:
    stream = await order.http.get(f"/v1/orders/{order_id}/events", params={"ticket": link(order_id)})
    assert stream.status_code == 401
    issued = await order.http.post(f"/v1/orders/{order_id}/events/ticket", headers=bearer(shopper, **GUEST))
    assert kind(await claim(issued.json()["ticket"], uuid4())) == (422, "claim-link-not-valid")
