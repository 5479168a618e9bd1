"""A key makes a call happen once: it is replayed, refused when it changes, and kept for a day."""

import asyncio
from typing import Any

import pytest
import stripe

from standins.sandbox.embedded import Embedded
from tools.standins.tests.integration.sandbox.typed import Connect, Hold, Start

DAY = 24 * 3600


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def replayed(answer: Any) -> bool:
    return bool(answer.last_response.headers.get("idempotent-replayed") == "true")


async def test_the_same_call_twice_holds_the_money_once(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    first, second = await hold(client), await hold(client)
    assert first.id == second.id
    assert (replayed(first), replayed(second)) == (False, True)
    assert len((await sandbox.ledger("order-1"))["payments"]) == 1


async def test_a_replay_shows_the_payment_as_it_was(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    assert (await hold(client)).status == "requires_capture"


async def test_a_decline_is_replayed_too(client: stripe.StripeClient, sandbox: Embedded, hold: Hold) -> None:
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            await hold(client, card="pm_card_chargeDeclined")
    assert (caught.value.headers or {})["idempotent-replayed"] == "true"
    assert len((await sandbox.ledger("order-1"))["payments"]) == 1


async def test_what_the_state_refused_stays_refused(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    key: Any = {"idempotency_key": "refund:order-1"}
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.refunds.create_async({"payment_intent": held.id}, key)
    await client.v1.payment_intents.capture_async(held.id)
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.refunds.create_async({"payment_intent": held.id}, key)


async def test_a_key_with_other_parameters_is_refused(client: stripe.StripeClient, hold: Hold) -> None:
    await hold(client)
    with pytest.raises(stripe.IdempotencyError) as caught:
        await hold(client, amount=2999)
    assert caught.value.http_status == 400
    assert caught.value.error is not None
    assert caught.value.error.type == "idempotency_error"


async def test_a_key_that_another_call_used_is_refused(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    with pytest.raises(stripe.IdempotencyError):
        await client.v1.payment_intents.capture_async(held.id, {}, {"idempotency_key": "authorize:order-1"})


async def test_the_order_of_parameters_does_not_matter(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client, metadata={"order_id": "order-1", "shop": "saga"})
    again = await hold(client, metadata={"shop": "saga", "order_id": "order-1"})
    assert again.id == held.id


async def test_a_validation_failure_leaves_the_key_free(client: stripe.StripeClient, hold: Hold) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await hold(client, amount=0)
    assert (await hold(client)).status == "requires_capture"


async def test_a_second_call_while_the_first_one_runs_is_answered_with_409(
    client: stripe.StripeClient, sandbox: Embedded, connect: Connect, hold: Hold
) -> None:
    await sandbox.fault(operation="authorize", kind="slow", seconds=0.5, count=1)
    first = asyncio.create_task(hold(client))
    while (await sandbox.control("GET", "faults"))[1]["faults"][0]["count"]:
        await asyncio.sleep(0.01)
    with pytest.raises(stripe.APIError) as caught:
        await hold(connect(sandbox))
    assert (caught.value.http_status, caught.value.error and caught.value.error.code) == (
        409,
        "idempotency_key_in_use",
    )
    held = await first
    assert (await hold(client)).id == held.id


async def test_a_key_is_kept_for_a_day(start: Start, connect: Connect, hold: Hold) -> None:
    clock = Clock()
    sandbox = await start(clock)
    client = connect(sandbox)
    held = await hold(client)
    clock.now += DAY - 1
    assert (await hold(client)).id == held.id
    clock.now += 1
    assert (await hold(client)).id != held.id
    assert len((await sandbox.ledger())["orders_with_several_intents"]["order-1"]) == 2


async def test_a_key_that_is_too_long_is_refused(client: stripe.StripeClient, hold: Hold) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="too long"):
        await hold(client, order="x" * 300, metadata={})


async def test_an_order_charged_twice_is_listed_by_the_ledger(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    held = await hold(client), await hold(client, order="order-2")
    again = await client.v1.payment_intents.create_async(
        {
            "amount": 1999,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "allowed_payment_method_types": ["card"],
            "metadata": {"order_id": "order-1"},
        }
    )
    await client.v1.payment_intents.capture_async(held[0].id)
    ledger = await sandbox.ledger()
    assert ledger["orders_charged_twice"] == {"order-1": [held[0].id, again.id]}
    assert ledger["totals"]["eur"] == {
        "payments": 3,
        "held": 1999,
        "captured": 3998,
        "refunded": 0,
        "charges": 2,
    }
    assert ledger["balanced"]
