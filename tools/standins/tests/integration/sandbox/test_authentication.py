"""Cards whose bank asks the shopper: what Stripe answers, the page at which she decides, what follows."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from aiohttp import web
from aiohttp.test_utils import TestServer

from standins.sandbox.embedded import Embedded
from tools.standins.tests.integration.sandbox.typed import Connect, Hold, Start

RETURN = "https://shop.example/orders/1?tab=pay"


async def ask(client: stripe.StripeClient, hold: Hold, **changes: Any) -> stripe.PaymentIntent:
    card = changes.pop("card", "pm_card_authenticationRequired")
    asked: stripe.PaymentIntent = await hold(client, card=card, **{"return_url": RETURN} | changes)
    return asked


def page_of(intent: Any) -> str:
    return str(intent.next_action["redirect_to_url"]["url"])


async def press(sandbox: Embedded, page: str, choice: str) -> tuple[int, str]:
    async with sandbox.http.post(page, data={"choice": choice}, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("location", "")


@pytest.mark.parametrize(
    "card",
    [
        "authenticationRequired",
        "authenticationRequiredOnSetup",
        "threeDSecure2Required",
        "threeDSecureRequired",
    ],
)
async def test_a_bank_that_asks_holds_nothing_and_names_its_page(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold, card: str
) -> None:
    asked = await ask(client, hold, card=f"pm_card_{card}")
    assert (asked.status, asked.amount_capturable, asked.latest_charge) == ("requires_action", 0, None)
    assert asked.next_action is not None
    assert asked.next_action.type == "redirect_to_url"
    redirect = asked.next_action.redirect_to_url
    assert redirect is not None
    assert redirect.return_url == RETURN
    assert str(redirect.url).startswith(f"{sandbox.url}/3d_secure/{asked.id}?client_secret=")
    [payment] = (await sandbox.ledger("order-1"))["payments"]
    assert (payment["status"], payment["authorized"]) == ("requires_action", 0)


@pytest.mark.parametrize(
    "card", ["threeDSecureOptional", "threeDSecureOptionalProcessingError", "amex_threeDSecureNotSupported"]
)
async def test_a_bank_that_need_not_ask_does_not(client: stripe.StripeClient, hold: Hold, card: str) -> None:
    held = await ask(client, hold, card=f"pm_card_{card}")
    assert (held.status, held.next_action) == ("requires_capture", None)


async def test_the_shopper_confirms_at_the_page_and_goes_back_to_the_shop(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    async with sandbox.http.get(page_of(asked)) as shown:
        assert shown.status == 200
        assert shown.content_type == "text/html"
        assert (await shown.text()).count("<button") == 2
    status, back = await press(sandbox, page_of(asked), "complete")
    assert status == 303
    assert back.startswith("https://shop.example/orders/1?")
    assert parse_qs(urlsplit(back).query) == {
        "tab": ["pay"],
        "payment_intent": [asked.id],
        "payment_intent_client_secret": [asked.client_secret],
        "redirect_status": ["succeeded"],
    }
    held = await client.v1.payment_intents.retrieve_async(asked.id)
    assert (held.status, held.amount_capturable, held.next_action) == ("requires_capture", 1999, None)
    assert (await client.v1.payment_intents.capture_async(asked.id)).status == "succeeded"


async def test_a_shopper_who_refuses_has_failed_authentication(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    _, back = await press(sandbox, page_of(asked), "fail")
    assert parse_qs(urlsplit(back).query)["redirect_status"] == ["failed"]
    failed = await client.v1.payment_intents.retrieve_async(asked.id)
    error = failed.last_payment_error
    assert (failed.status, failed.latest_charge) == ("requires_payment_method", None)
    assert error is not None
    assert (error.type, error.code) == ("invalid_request_error", "payment_intent_authentication_failure")


@pytest.mark.parametrize(
    ("card", "decline_code"),
    [
        ("threeDSecureRequiredChargeDeclined", "generic_decline"),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
async def test_a_card_may_be_declined_although_the_shopper_has_confirmed(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold, card: str, decline_code: str
) -> None:
    asked = await ask(client, hold, card=f"pm_card_{card}")
    _, back = await press(sandbox, page_of(asked), "complete")
    assert parse_qs(urlsplit(back).query)["redirect_status"] == ["failed"]
    declined = await client.v1.payment_intents.retrieve_async(asked.id)
    assert declined.status == "requires_payment_method"
    assert declined.last_payment_error is not None
    assert declined.last_payment_error.decline_code == decline_code


async def test_a_bank_that_cannot_be_asked_declines_at_once(client: stripe.StripeClient, hold: Hold) -> None:
    with pytest.raises(stripe.CardError) as caught:
        await ask(client, hold, card="pm_card_threeDSecureRequiredProcessingError")
    assert caught.value.code == "card_declined"


@pytest.mark.parametrize("how", ["error_on_requires_action", "off_session"])
async def test_where_the_shopper_is_absent_a_bank_that_asks_declines(
    client: stripe.StripeClient, hold: Hold, how: str
) -> None:
    absent: dict[str, Any] = {how: True}
    with pytest.raises(stripe.CardError) as caught:
        await hold(client, card="pm_card_authenticationRequired", **absent)
    error: Any = caught.value.error
    assert (caught.value.http_status, error.code) == (402, "authentication_required")
    assert error.decline_code == "authentication_required"
    assert error.payment_intent.status == "requires_payment_method"


async def test_without_a_return_url_the_next_action_is_for_stripes_script(
    client: stripe.StripeClient, hold: Hold
) -> None:
    asked = await hold(client, card="pm_card_authenticationRequired")
    assert asked.next_action is not None
    assert (asked.status, asked.next_action.type) == ("requires_action", "use_stripe_sdk")


async def test_a_payment_that_may_redirect_needs_a_return_url(
    client: stripe.StripeClient, hold: Hold
) -> None:
    more: Any = {"allowed_payment_method_types": "", "automatic_payment_methods": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await hold(client, **more)
    assert caught.value.param == "return_url"
    assert (await hold(client, **more, return_url=RETURN)).status == "requires_capture"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await hold(client, "order-2", **more, return_url="nowhere")
    assert caught.value.code == "url_invalid"


async def test_what_is_for_a_confirmation_is_refused_without_one(
    client: stripe.StripeClient, hold: Hold
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await hold(client, confirm=False, return_url=RETURN)
    assert caught.value.param == "return_url"


async def test_a_payment_is_decided_once_whatever_is_pressed_later(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    await press(sandbox, page_of(asked), "complete")
    status, back = await press(sandbox, page_of(asked), "fail")
    assert (status, parse_qs(urlsplit(back).query)["redirect_status"]) == (303, ["succeeded"])
    assert (await client.v1.payment_intents.retrieve_async(asked.id)).status == "requires_capture"


async def test_a_canceled_payment_waits_for_nobody(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    canceled = await client.v1.payment_intents.cancel_async(asked.id)
    assert (canceled.status, canceled.next_action) == ("canceled", None)
    _, back = await press(sandbox, page_of(asked), "complete")
    assert parse_qs(urlsplit(back).query)["redirect_status"] == ["failed"]
    async with sandbox.http.get(page_of(asked)) as shown:
        assert "<button" not in await shown.text()
    assert (await client.v1.payment_intents.retrieve_async(asked.id)).status == "canceled"


async def test_a_canceled_payment_shows_whether_money_was_held(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    never, held = await ask(client, hold), await ask(client, hold, order="order-2")
    await sandbox.authenticate(held.id, "succeeded")
    expanded: Any = {"expand": ["latest_charge"]}
    for asked, charge in ((never, None), (held, "succeeded")):
        canceled = await client.v1.payment_intents.cancel_async(asked.id, expanded)
        assert getattr(canceled.latest_charge, "status", None) == charge


async def test_the_page_needs_the_client_secret(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    for page in (page_of(asked).partition("?")[0], f"{sandbox.url}/3d_secure/pi_unknown?client_secret=x"):
        assert (await press(sandbox, page, "complete"))[0] == 404
    assert (await press(sandbox, page_of(asked), "perhaps"))[0] == 400


async def test_the_page_has_the_public_url(start: Start, connect: Connect, hold: Hold) -> None:
    sandbox = await start(public_url="https://bank.example")
    asked = await ask(connect(sandbox), hold)
    assert page_of(asked).startswith("https://bank.example/3d_secure/")


async def test_the_control_api_confirms_or_refuses_for_the_shopper(
    client: stripe.StripeClient, sandbox: Embedded, hold: Hold
) -> None:
    asked = await ask(client, hold)
    assert (await sandbox.authenticate(asked.id, "failed"))["status"] == "requires_payment_method"
    with pytest.raises(ValueError, match="Nobody is asked"):
        await sandbox.authenticate(asked.id, "succeeded")
    with pytest.raises(ValueError, match="one of succeeded, failed"):
        await sandbox.authenticate(asked.id, "perhaps")


async def test_a_confirmation_can_be_given_after_a_restart(
    start: Start, connect: Connect, hold: Hold
) -> None:
    asked = await ask(connect(await start(public_url="http://bank.example")), hold)
    again = await start()
    await confirm_at(again, page_of(asked))
    assert (await connect(again).v1.payment_intents.retrieve_async(asked.id)).status == "requires_capture"


async def confirm_at(sandbox: Embedded, page: str) -> None:
    moved = page.replace("http://bank.example", sandbox.url)
    assert (await press(sandbox, moved, "complete"))[0] == 303


async def test_the_need_for_a_confirmation_and_its_outcome_are_sent_as_events(
    start: Start, connect: Connect, hold: Hold
) -> None:
    events: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        events.append(json.loads(await request.read())["type"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    async with TestServer(app) as shop:
        sandbox = await start(webhook_url=str(shop.make_url("/hook")), webhook_secret="whsec_of_a_test")
        client = connect(sandbox)
        confirmed, refused = await ask(client, hold), await ask(client, hold, order="order-2")
        await sandbox.authenticate(confirmed.id, "succeeded")
        await sandbox.authenticate(refused.id, "failed")
        while len(events) < 4:
            await asyncio.sleep(0.01)
    assert sorted(events) == [
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.requires_action",
    ]
