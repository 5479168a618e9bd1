"""Calls that break on request: what was done stays done once, what was not done can be done again."""

import time
from typing import Any

import pytest
import stripe

from standins.sandbox.embedded import Embedded
from tools.standins.tests.integration.sandbox.typed import Connect, Hold

CAPTURE: Any = {"idempotency_key": "capture:order-1"}


@pytest.mark.parametrize("fault", ["ThenTimeout", "ThenDisconnect", "ThenServerError"])
async def test_a_capture_that_was_not_answered_has_happened_once(
    sandbox: Embedded, connect: Connect, hold: Hold, fault: str
) -> None:
    client = connect(sandbox, timeout=2)
    held = await hold(client, card=f"pm_card_sandbox_capture{fault}")
    with pytest.raises((stripe.APIConnectionError, stripe.APIError)):
        await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
    [payment] = (await sandbox.ledger("order-1"))["payments"]
    assert (payment["status"], payment["captured"], payment["charges"]) == ("succeeded", 1999, 1)
    taken = await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
    assert taken.status == "succeeded"
    assert (await sandbox.ledger("order-1"))["payments"] == [payment]


@pytest.mark.parametrize("fault", ["ThenTimeout", "ThenDisconnect", "ThenServerError"])
async def test_a_hold_that_was_not_answered_has_happened_once(
    sandbox: Embedded, connect: Connect, hold: Hold, fault: str
) -> None:
    client = connect(sandbox, timeout=2)
    card = f"pm_card_sandbox_authorize{fault}"
    with pytest.raises((stripe.APIConnectionError, stripe.APIError)):
        await hold(client, card=card)
    assert (await hold(client, card=card)).status == "requires_capture"
    assert len((await sandbox.ledger("order-1"))["payments"]) == 1


async def test_a_server_error_can_be_stored_and_only_a_lookup_shows_the_effect(
    client: stripe.StripeClient, hold: Hold
) -> None:
    held = await hold(client, card="pm_card_sandbox_captureThenServerErrorStored")
    for _ in range(3):
        with pytest.raises(stripe.APIError) as caught:
            await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
        assert caught.value.http_status == 500
    assert (await client.v1.payment_intents.retrieve_async(held.id)).amount_received == 1999


async def test_a_card_breaks_as_many_calls_as_it_says(client: stripe.StripeClient, hold: Hold) -> None:
    card = "pm_card_sandbox_authorizeThenServerError_2"
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await hold(client, card=card)
    assert (await hold(client, card=card)).status == "requires_capture"


async def test_a_card_breaks_calls_of_its_own_order_only(client: stripe.StripeClient, hold: Hold) -> None:
    card = "pm_card_sandbox_authorizeThenServerError"
    for order in ("order-1", "order-2"):
        with pytest.raises(stripe.APIError):
            await hold(client, order=order, card=card)
        assert (await hold(client, order=order, card=card)).status == "requires_capture"


async def test_the_sdk_survives_a_fault_by_itself(sandbox: Embedded, hold: Hold) -> None:
    client = stripe.StripeClient(
        "sk_test_sandbox",
        base_addresses={"api": sandbox.url},
        http_client=stripe.HTTPXClient(),
        max_network_retries=2,
    )
    assert (await hold(client, card="pm_card_sandbox_authorizeThenDisconnect")).status == "requires_capture"
    assert len((await sandbox.ledger())["payments"]) == 1


async def test_a_server_error_before_acting_leaves_nothing(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    await sandbox.fault(operation="authorize", kind="error_before", count=1)
    with pytest.raises(stripe.APIError) as caught:
        await hold(client)
    assert caught.value.http_status == 500
    assert (await sandbox.ledger())["payments"] == []
    assert (await hold(client)).status == "requires_capture"


async def test_a_slow_card_is_slow(client: stripe.StripeClient, sandbox: Embedded, hold: Hold) -> None:
    held = await hold(client, card="pm_card_sandbox_captureSlow")
    begin = time.monotonic()
    await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
    assert time.monotonic() - begin >= sandbox.settings.slow


async def test_a_capture_can_be_declined_and_the_money_stays_held(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    held = await hold(client, card="pm_card_sandbox_captureDeclined")
    with pytest.raises(stripe.CardError):
        await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
    [payment] = (await sandbox.ledger("order-1"))["payments"]
    assert (payment["status"], payment["captured"]) == ("requires_capture", 0)


async def test_a_planned_decline_has_its_reason(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    await sandbox.fault(
        operation="authorize", kind="decline", decline="chargeDeclinedInsufficientFunds", count=1
    )
    with pytest.raises(stripe.CardError) as caught:
        await hold(client)
    assert caught.value.error is not None
    assert caught.value.error.decline_code == "insufficient_funds"
    assert (await hold(client, order="order-2")).status == "requires_capture"


async def test_a_planned_fault_hits_only_its_operation_until_it_is_lifted(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    await sandbox.fault(operation="capture", kind="error_after")
    held = await hold(client)
    for _ in range(3):
        with pytest.raises(stripe.APIError):
            await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)
    assert await sandbox.control("DELETE", "faults") == (200, {"faults": []})
    assert (await client.v1.payment_intents.capture_async(held.id, {}, CAPTURE)).status == "succeeded"


async def test_the_same_seed_breaks_the_same_calls(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    async def broken(run: str) -> list[int]:
        await sandbox.fault(operation="authorize", kind="error_before", probability=0.5, seed=7)
        hit = []
        for number in range(12):
            try:
                await hold(client, order=f"{run}-{number}")
            except stripe.APIError:
                hit.append(number)
        await sandbox.control("DELETE", "faults")
        return hit

    first = await broken("first")
    assert 0 < len(first) < 12
    assert await broken("second") == first


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"operation": "capture", "kind": "earthquake"},
        {"operation": "everything", "kind": "slow"},
        {"operation": "capture", "kind": "slow", "seconds": -1},
        {"operation": "capture", "kind": "slow", "probability": "often"},
        {"operation": "capture", "kind": "slow", "count": 0},
        {"operation": "refund", "kind": "decline"},
        {"operation": "capture", "kind": "decline", "decline": "bad mood"},
        {"operation": "capture", "kind": "slow", "color": "blue"},
        [],
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(sandbox: Embedded, fault: object) -> None:
    status, problem = await sandbox.control("POST", "faults", fault)
    assert (status, problem["status"]) == (400, 400)
    assert (await sandbox.control("GET", "faults"))[1] == {"faults": []}
