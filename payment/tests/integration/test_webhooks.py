"""Signed webhooks are accepted: they retry calls whose outcome is unknown, and have payments looked up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import stripe
from cryptography.fernet import Fernet

from chassis.http.provided import registry
from contracts.testing import order_created
from payment.main import service
from payment.settings import Settings
from payment.webhooks import Webhooks

SECRET = "whsec_payment"


@dataclass
class Payments:
    """The service's HTTP side, and its database to look into."""

    http: httpx.AsyncClient
    webhooks: Webhooks
    database: asyncpg.Connection

    async def open_intent(self, order_id: UUID, attempts: int = 1) -> None:
        await self.database.execute(
            "INSERT INTO intent (key, kind, subject, payload, attempts, leased_until)"
            " VALUES ($1, 'capture', $2, '{}', $3, now() + interval '1 hour')"
            " ON CONFLICT (key) DO UPDATE SET leased_until = excluded.leased_until",
            f"capture:{order_id}",
            order_id,
            attempts,
        )

    async def is_due(self, order_id: UUID) -> bool:
        query = "SELECT leased_until <= now() FROM intent WHERE subject = $1"
        return bool(await self.database.fetchval(query, order_id))

    async def paid(self, payment_id: str | None, state: str = "captured") -> UUID:
        """A payment in that state. Returns its order."""
        order_id = uuid4()
        await self.database.execute(
            "INSERT INTO payment (order_id, state, order_created, stock_reserved, cancelled, payment_id,"
            " refunds_refused) VALUES ($1, $2, $3, true, $4, $5, 0)",
            order_id,
            state,
            order_created(order_id=order_id).model_dump_json(),
            state == "voiding",
            payment_id,
        )
        return order_id

    async def lookups(self) -> list[tuple[UUID, int]]:
        """The intended lookups: of which order, and how much news they cover."""
        found = await self.database.fetch("SELECT subject, payload FROM intent WHERE kind = 'look'")
        return [(row["subject"], json.loads(row["payload"])["news"]) for row in found]

    async def news(self, order_id: UUID) -> int:
        return int(await self.database.fetchval("SELECT news FROM payment WHERE order_id = $1", order_id))

    async def remembered(self) -> int:
        return int(await self.database.fetchval("SELECT count(*) FROM webhook"))

    async def send(self, event: dict[str, Any], *, secret: str = SECRET, age: int = 0) -> httpx.Response:
        body = json.dumps(event)
        headers = {"Stripe-Signature": signature(body, secret, age)}
        answer = await self.http.post("/v1/webhooks/stripe", content=body, headers=headers)
        await self.webhooks.act()
        return answer


def signature(body: str, secret: str = SECRET, age: int = 0) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()) - age)
    return header


@pytest.fixture
async def payments(migrated: Callable[[str], str]) -> AsyncIterator[Payments]:
    url = migrated("payment")
    settings = Settings(
        database_url=url,
        amqp_url="amqp://nobody@127.0.0.1:1/",
        jwks_url="http://127.0.0.1:1/",
        token_issuer="tests",
        token_audience="tests",
        role="api",
        stripe_api_key="sk_test",
        stripe_webhook_secret=SECRET,
        action_key=Fernet.generate_key().decode(),
        webhook_linger=60,
    )
    app = service.app(settings)
    database = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=10)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://payment") as http:
            yield Payments(http, registry(app)[Webhooks], database)
    await database.close()


def event(order_id: UUID | str | None, kind: str = "payment_intent.succeeded") -> dict[str, Any]:
    metadata = {"order_id": str(order_id)} if order_id else {}
    return {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "metadata": metadata}},
    }


async def test_a_hint_retries_a_call_with_unknown_outcome_at_once(payments: Payments) -> None:
    order = uuid4()
    await payments.open_intent(order)

    assert (await payments.send(event(order))).status_code == 200
    assert await payments.is_due(order)


async def test_a_hint_counts_once(payments: Payments) -> None:
    order = uuid4()
    await payments.open_intent(order)
    await payments.send(event(order))
    await payments.open_intent(order)

    assert (await payments.send(event(order))).status_code == 200
    assert not await payments.is_due(order)


async def test_a_hint_does_not_repeat_a_call_that_is_running_for_the_first_time(payments: Payments) -> None:
    order = uuid4()
    await payments.open_intent(order, attempts=0)

    assert (await payments.send(event(order))).status_code == 200
    assert not await payments.is_due(order)


def news(payment_id: str, kind: str = "charge.dispute.created", number: int = 1) -> dict[str, Any]:
    """An event about an object without the shop's metadata, but with its payment's id."""
    about = {"id": "dp_1", "object": "dispute", "charge": "ch_1", "payment_intent": payment_id}
    return {"id": f"evt_{number}", "object": "event", "type": kind, "data": {"object": about}}


@pytest.mark.parametrize(
    "kind", ["charge.refunded", "refund.failed", "refund.created", "charge.dispute.closed"]
)
async def test_a_lookup_is_committed_before_the_webhook_is_answered(payments: Payments, kind: str) -> None:
    order = await payments.paid("pi_1")

    assert (await payments.send(news("pi_1", kind))).status_code == 200
    assert await payments.lookups() == [(order, 1)]


async def test_news_counts_once_for_each_event_and_is_looked_up_once(
    payments: Payments,
) -> None:
    order = await payments.paid("pi_1")
    for number in (1, 1, 2):
        await payments.send(news("pi_1", number=number))

    assert await payments.lookups() == [(order, 1)]
    assert await payments.news(order) == 2, "another lookup follows the running one"


async def test_the_shops_own_void_is_no_news(payments: Payments) -> None:
    await payments.paid("pi_1", "voiding")

    await payments.send(event(None, "payment_intent.canceled"))
    assert await payments.lookups() == []


async def test_an_authorization_cancelled_at_the_provider_is_looked_up(payments: Payments) -> None:
    order = await payments.paid("pi_1", "authorized")

    await payments.send(event(None, "payment_intent.canceled"))
    assert await payments.lookups() == [(order, 1)]


async def test_an_authorization_captured_at_the_provider_is_looked_up_once(payments: Payments) -> None:
    order = await payments.paid("pi_1", "authorized")

    for _ in range(2):
        assert (await payments.send(event(order))).status_code == 200
    assert await payments.lookups() == [(order, 1)]
    assert await payments.news(order) == 1


@pytest.mark.parametrize("state", ["capturing", "captured", "voiding"])
async def test_the_shops_own_capture_is_no_news(payments: Payments, state: str) -> None:
    order = await payments.paid("pi_1", state)

    await payments.send(event(order))
    assert await payments.lookups() == []


async def test_news_of_a_second_payment_of_an_order_is_ignored(payments: Payments) -> None:
    order = await payments.paid("pi_2")

    await payments.send(event(order, "payment_intent.canceled"))
    assert await payments.lookups() == []


async def test_news_during_the_authorization_retries_the_call(payments: Payments) -> None:
    order = await payments.paid(None, "authorizing")
    await payments.open_intent(order)

    await payments.send(event(order, "payment_intent.canceled"))
    assert await payments.is_due(order)


@pytest.mark.parametrize(
    "hint",
    [
        news("pi_forgotten"),
        news("pi_forgotten", "charge.refunded"),
        {**news(""), "data": {"object": {"id": "re_1", "object": "refund", "payment_intent": None}}},
        event(uuid4()),
        event(None),
        event("no-uuid"),
        event(uuid4(), "customer.created"),
        {**event(uuid4(), "v2.core.event"), "data": None},
    ],
)
async def test_a_hint_that_nothing_waits_for_is_ignored(payments: Payments, hint: dict[str, Any]) -> None:
    assert (await payments.send(hint)).status_code == 200
    assert await payments.remembered() == 0


@pytest.mark.parametrize("how", [{"secret": "whsec_of_somebody_else"}, {"age": 400}])
async def test_a_forged_or_stale_event_is_refused(payments: Payments, how: dict[str, Any]) -> None:
    order = uuid4()
    await payments.open_intent(order)

    answer = await payments.send(event(order), **how)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert not await payments.is_due(order)


@pytest.mark.parametrize("headers", [{}, {"Stripe-Signature": "nonsense"}, {"Stripe-Signature": "t=1"}])
@pytest.mark.parametrize("body", [b"{}", b"\xff"])
async def test_an_unsigned_event_is_refused(payments: Payments, headers: dict[str, str], body: bytes) -> None:
    answer = await payments.http.post("/v1/webhooks/stripe", content=body, headers=headers)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "nonsense",
    [
        [],
        {},
        {"type": 1},
        {"id": "evt_1", "type": "charge.refunded", "data": []},
        event(uuid4()) | {"data": {}},
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(payments: Payments, nonsense: Any) -> None:
    assert (await payments.send(nonsense)).status_code == 400


async def test_the_webhook_is_documented(payments: Payments) -> None:
    document = (await payments.http.get("/openapi.json")).json()
    operation = document["paths"]["/v1/webhooks/stripe"]["post"]

    assert set(operation["responses"]) == {"200", "400", "413", "422", "503"}
    assert operation["parameters"][0]["name"] == "Stripe-Signature"


async def test_hints_are_acted_on_by_themselves(payments: Payments) -> None:
    order = uuid4()
    await payments.open_intent(order)
    settings = payments.webhooks._settings.model_copy(update={"webhook_linger": 0.01})
    webhooks = Webhooks(settings, payments.webhooks._transactions)
    body = json.dumps(event(order))

    await webhooks.receive(body.encode(), signature(body))
    async with asyncio.timeout(10):
        while not await payments.is_due(order):
            await asyncio.sleep(0.01)
    await webhooks.aclose()
