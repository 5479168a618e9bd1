"""The rules of money: what may be held, taken and given back, in the provider's own errors."""

from typing import Any

import aiohttp
import pytest
import stripe

from standins.sandbox.embedded import Embedded
from tools.standins.tests.integration.sandbox.typed import Connect, Hold


async def test_a_payment_is_held_and_then_captured(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    assert (held.status, held.amount_capturable, held.amount_received) == ("requires_capture", 1999, 0)
    taken = await client.v1.payment_intents.capture_async(held.id)
    assert (taken.status, taken.amount_capturable, taken.amount_received) == ("succeeded", 0, 1999)
    assert taken.metadata["order_id"] == "order-1"


async def test_money_taken_at_once_needs_no_capture(client: stripe.StripeClient, hold: Hold) -> None:
    assert (await hold(client, capture_method="automatic")).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ],
)
async def test_a_declined_card_takes_no_money_and_says_why(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        await hold(client, card=card)
    error: Any = caught.value.error
    assert (caught.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
    assert error.payment_intent.status == "requires_payment_method"
    [payment] = (await sandbox.ledger("order-1"))["payments"]
    assert (payment["authorized"], payment["captured"]) == (0, 0)


async def test_a_declined_payment_can_be_confirmed_with_another_card(
    client: stripe.StripeClient, hold: Hold
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        await hold(client, card="pm_card_chargeDeclined")
    error: Any = caught.value.error
    name = error.payment_intent.id
    held = await client.v1.payment_intents.confirm_async(name, {"payment_method": "pm_card_mastercard"})
    assert held.status == "requires_capture"
    assert held.last_payment_error is None


async def test_a_held_payment_is_canceled_once(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    reason: Any = {"cancellation_reason": "abandoned"}
    assert (await client.v1.payment_intents.cancel_async(held.id, reason)).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.payment_intents.cancel_async(held.id)
    assert caught.value.code == "payment_intent_unexpected_state"


async def test_a_captured_payment_is_neither_canceled_nor_captured_again(
    client: stripe.StripeClient, hold: Hold
) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    for again in (client.v1.payment_intents.cancel_async, client.v1.payment_intents.capture_async):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await again(held.id)
        assert (caught.value.http_status, caught.value.code) == (400, "payment_intent_unexpected_state")
        error: Any = caught.value.error
        assert error.payment_intent.status == "succeeded"


async def test_a_canceled_payment_is_never_captured(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    held = await hold(client)
    await client.v1.payment_intents.cancel_async(held.id)
    with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
        await client.v1.payment_intents.capture_async(held.id)
    assert (await sandbox.ledger())["totals"]["eur"]["captured"] == 0


async def test_no_more_is_captured_than_was_held(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 2000})
    assert caught.value.code == "amount_too_large"
    taken = await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 1500})
    assert (taken.status, taken.amount_received) == ("succeeded", 1500)


async def test_no_more_is_refunded_than_was_captured(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 1500})
    first = await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 1000})
    assert (first.status, first.amount, first.payment_intent) == ("succeeded", 1000, held.id)
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 501})
    assert too_much.value.param == "amount"
    rest = await client.v1.refunds.create_async(
        {"payment_intent": held.id, "reason": "requested_by_customer"}
    )
    assert rest.amount == 500


async def test_nothing_is_refunded_twice(client: stripe.StripeClient, sandbox: Embedded, hold: Hold) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    await client.v1.refunds.create_async({"payment_intent": held.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await client.v1.refunds.create_async({"payment_intent": held.id})
    assert (caught.value.http_status, caught.value.code) == (400, "charge_already_refunded")
    assert (await sandbox.ledger())["totals"]["eur"]["refunded"] == 1999


async def test_nothing_is_refunded_that_was_not_taken(client: stripe.StripeClient, hold: Hold) -> None:
    held = await hold(client)
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        await client.v1.refunds.create_async({"payment_intent": held.id})


async def test_what_was_made_can_be_found_again(client: stripe.StripeClient, hold: Hold) -> None:
    held = [await hold(client, order=f"order-{number}") for number in range(3)]
    await client.v1.payment_intents.capture_async(held[1].id)
    charge = str(held[1].latest_charge)
    refund = await client.v1.refunds.create_async({"charge": charge})
    one: Any = await client.v1.payment_intents.retrieve_async(held[1].id, {"expand": ["latest_charge"]})
    assert one.latest_charge.refunded
    assert (await client.v1.charges.retrieve_async(charge)).amount_refunded == 1999
    assert (await client.v1.refunds.retrieve_async(refund.id)).amount == 1999
    listed = await client.v1.refunds.list_async({"payment_intent": held[1].id})
    assert [found.id for found in listed.data] == [refund.id]
    query: Any = {"query": "metadata['order_id']:'order-1' AND status:'succeeded'"}
    assert [found.id for found in (await client.v1.payment_intents.search_async(query)).data] == [held[1].id]


async def test_a_long_list_comes_in_pages(client: stripe.StripeClient, hold: Hold) -> None:
    held = [(await hold(client, order=f"order-{number}")).id for number in range(5)]
    page = await client.v1.payment_intents.list_async({"limit": 2})
    assert page.has_more
    assert [found.id async for found in page.auto_paging_iter()] == held[::-1]


async def test_an_unknown_payment_is_missing(client: stripe.StripeClient) -> None:
    for call in (client.v1.payment_intents.retrieve_async, client.v1.payment_intents.capture_async):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await call("pi_none")
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_only_the_secret_key_is_accepted(sandbox: Embedded, connect: Connect) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        await connect(sandbox, key="sk_test_other").v1.balance.retrieve_async()
    assert caught.value.http_status == 401
    assert "sk_test_other" not in str(caught.value)


async def test_the_balance_is_what_was_taken_and_not_given_back(
    client: stripe.StripeClient, hold: Hold
) -> None:
    held = await hold(client)
    await client.v1.payment_intents.capture_async(held.id)
    await client.v1.refunds.create_async({"payment_intent": held.id, "amount": 999})
    [balance] = (await client.v1.balance.retrieve_async()).available
    assert (balance.amount, balance.currency) == (1000, "eur")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": "12.50"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 49}, "amount"),
        ({"amount": 100_000_000}, "amount"),
        ({"currency": "euro"}, "currency"),
        ({"currency": None}, "currency"),
        ({"capture_method": "later"}, "capture_method"),
        ({"confirm": "maybe"}, "confirm"),
        ({"payment_method": "pm_card_of_mine"}, "payment_method"),
        ({"allowed_payment_method_types": None}, "return_url"),
        ({"payment_method_types": ["card"]}, "payment_method_types"),
        ({"automatic_payment_methods": {"enabled": True}}, "automatic_payment_methods"),
        ({"metadata": {"order_id": "x" * 501}}, "metadata"),
        ({"metadata": {"order_id": {"deep": "er"}}}, "metadata"),
        ({"colour": "blue"}, "colour"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await hold(client, **changes)
    assert caught.value.param == param
    assert (await sandbox.ledger())["payments"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"amount", 400),
        (b"amount=%ff\xff", 400),
        (b"metadata[order_id=1", 400),
        (b"amount=1&amount=2", 400),
        (b"amount=1&amount[x]=2", 400),
        (b'{"amount": 100}', 400),
        (b"&".join(b"a%d=1" % number for number in range(300)), 400),
        (b"description=" + b"x" * 70_000, 413),
    ],
)
async def test_a_malformed_body_is_refused_with_stripes_error(
    sandbox: Embedded, body: bytes, status: int
) -> None:
    headers = {
        "Authorization": "Bearer sk_test_sandbox",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with aiohttp.ClientSession(headers=headers) as http:
        answer = await http.post(f"{sandbox.url}/v1/payment_intents", data=body)
        assert answer.status == status
        assert (await answer.json())["error"]["type"] == "invalid_request_error"
        assert answer.headers["Request-Id"].startswith("req_")


async def test_an_unknown_call_is_answered_with_404(
    client: stripe.StripeClient,
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as caught:
        await client.v1.customers.create_async({"name": "Ada"})
    assert caught.value.http_status == 404
