"""What a bank, or a person at the provider, does long after the shop has asked for anything."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
import stripe

from standins.sandbox.embedded import Embedded
from tools.standins.tests.integration.sandbox.typed import Connect, Hold, Start


class Paid(Protocol):
    """Money that was taken by that card."""

    async def __call__(self, card: str = "pm_card_visa", order: str = "order-1") -> stripe.PaymentIntent: ...


@pytest.fixture
async def sandbox(start: Start) -> Embedded:
    return await start(later=0.05)


@pytest.fixture
def paid(client: stripe.StripeClient, hold: Hold) -> Paid:
    async def pay(card: str = "pm_card_visa", order: str = "order-1") -> stripe.PaymentIntent:
        held = await hold(client, card=card, order=order)
        return await client.v1.payment_intents.capture_async(held.id)

    return pay


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


async def entry(sandbox: Embedded) -> dict[str, Any]:
    ledger = await sandbox.ledger()
    assert ledger["balanced"]
    (payment,) = ledger["payments"]
    return dict(payment)


async def test_a_refund_that_fails_later_leaves_the_money_where_it_was_and_may_be_made_again(
    client: stripe.StripeClient, sandbox: Embedded, paid: Paid
) -> None:
    payment = await paid("pm_card_refundFail")
    refund = await client.v1.refunds.create_async({"payment_intent": payment.id})
    assert refund.status == "succeeded"

    async def failed() -> bool:
        return (await client.v1.refunds.retrieve_async(refund.id)).status == "failed"

    await until(failed)
    after = await client.v1.refunds.retrieve_async(refund.id)
    assert after.failure_reason == "expired_or_canceled_card"
    assert (await entry(sandbox))["refunded"] == 0
    assert (await client.v1.refunds.create_async({"payment_intent": payment.id})).amount == payment.amount


async def test_money_is_refunded_in_the_dashboard_and_its_newest_refund_fails(
    client: stripe.StripeClient, sandbox: Embedded, paid: Paid
) -> None:
    payment = await paid()
    asked = {"payment_intent": payment.id, "amount": 300}
    status, made = await sandbox.control("POST", "refunds", asked)
    assert (status, made["amount"], made["metadata"]) == (200, 300, {})
    assert (await entry(sandbox))["refunded"] == 300

    asked = {"payment_intent": payment.id, "status": "failed"}
    _, failed = await sandbox.control("POST", "refunds", asked)
    assert (failed["id"], failed["status"]) == (made["id"], "failed")
    assert (await entry(sandbox))["refunded"] == 0


async def test_a_pending_refund_succeeds_later(client: stripe.StripeClient, paid: Paid) -> None:
    payment = await paid("pm_card_pendingRefund")
    refund = await client.v1.refunds.create_async({"payment_intent": payment.id})
    assert refund.status == "pending"

    async def done() -> bool:
        return (await client.v1.refunds.retrieve_async(refund.id)).status == "succeeded"

    await until(done)


async def test_a_payment_is_disputed_and_the_dispute_is_lost(
    client: stripe.StripeClient, sandbox: Embedded, paid: Paid
) -> None:
    payment = await paid("pm_card_createDispute")

    async def disputed() -> list[Any]:
        return (await client.v1.disputes.list_async({"payment_intent": payment.id})).data

    await until(disputed)
    (dispute,) = await disputed()
    assert (dispute.reason, dispute.status, dispute.amount) == (
        "fraudulent",
        "needs_response",
        payment.amount,
    )
    assert dispute.evidence_details.due_by > dispute.created
    assert (await entry(sandbox))["withdrawn"] == payment.amount

    status, _ = await sandbox.control("POST", "disputes", {"dispute": dispute.id, "status": "won"})
    assert status == 200
    assert (await client.v1.disputes.retrieve_async(dispute.id)).status == "won"
    assert (await entry(sandbox))["withdrawn"] == 0
    again, _ = await sandbox.control("POST", "disputes", {"dispute": dispute.id, "status": "lost"})
    assert again == 400


async def test_an_inquiry_withdraws_nothing(sandbox: Embedded, paid: Paid) -> None:
    payment = await paid()
    asked = {"payment_intent": payment.id, "status": "warning_needs_response", "amount": 100}
    status, dispute = await sandbox.control("POST", "disputes", asked)
    assert (status, dispute["amount"]) == (200, 100)
    assert (await entry(sandbox))["withdrawn"] == 0


async def test_an_authorization_expires_and_is_booked_as_a_refund_of_what_was_never_taken(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    held = await hold(client)
    status, _ = await sandbox.control("POST", "expirations", {"payment_intent": held.id})
    assert status == 200
    gone = await client.v1.payment_intents.retrieve_async(held.id)
    assert (gone.status, gone.cancellation_reason, gone.amount_received) == ("canceled", "expired", 0)
    (refund,) = (await client.v1.refunds.list_async({"payment_intent": held.id})).data
    assert (refund.reason, refund.amount) == ("expired_uncaptured_charge", held.amount)
    assert (await entry(sandbox))["refunded"] == 0
    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.capture_async(held.id)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("refunds", {"refund": "re_nobody"}),
        ("refunds", {}),
        ("disputes", {"payment_intent": "pi_nobody"}),
        ("disputes", {"dispute": "dp_nobody", "status": "won"}),
        ("expirations", {"payment_intent": "pi_nobody"}),
        ("expirations", {"whom": "it may concern"}),
    ],
)
async def test_what_makes_no_sense_is_refused(sandbox: Embedded, path: str, asked: dict[str, Any]) -> None:
    status, problem = await sandbox.control("POST", path, asked)
    assert status in (400, 404)
    assert problem["detail"]


async def test_later_changes_that_were_due_happen_after_a_restart(
    start: Start, connect: Connect, hold: Hold
) -> None:
    first = await start(later=3600)
    client = connect(first)
    held = await hold(client, card="pm_card_createDispute")
    await client.v1.payment_intents.capture_async(held.id)
    second = connect(await start(later=0.01))

    async def disputed() -> Any:
        return (await second.v1.disputes.list_async({"payment_intent": held.id})).data

    await until(disputed)


async def test_lists_are_paged_and_cut_by_when_things_were_created(
    client: stripe.StripeClient, hold: Hold
) -> None:
    made = [(await hold(client, order=f"order-{n}")).id for n in range(5)]
    newest = await client.v1.payment_intents.list_async({"limit": 2})
    assert ([one.id for one in newest.data], newest.has_more) == (made[:-3:-1], True)
    rest = await client.v1.payment_intents.list_async({"limit": 5, "starting_after": made[-2]})
    assert ([one.id for one in rest.data], rest.has_more) == (made[-3::-1], False)

    wider = await client.v1.payment_intents.list_async({"limit": 1, "expand": ["data.latest_charge"]})
    charge: Any = wider.data[0].latest_charge
    assert (charge.object, charge.amount_refunded) == ("charge", 0)

    since: Any = newest.data[0].created
    assert len((await client.v1.payment_intents.list_async({"created": {"gte": since - 60}})).data) == 5
    assert (await client.v1.payment_intents.list_async({"created": {"gt": since + 60}})).data == []
    with pytest.raises(stripe.InvalidRequestError):
        wrong: Any = {"created": {"after": since}}
        await client.v1.payment_intents.list_async(wrong)
