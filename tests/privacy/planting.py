"""A day at the shop with values that nothing else uses: a program that writes one down is found."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
from aio_pika.abc import AbstractIncomingMessage

from devstack import Stack
from lab.services import scenario_shop
from scenarios.broker import Tap, copy_of
from scenarios.guests import claim_token
from scenarios.mails import mails, text_of
from scenarios.play import Play, logged_in, new_play
from scenarios.shopper import Shopper, must, press_bank_button

ADDRESS = ("name", "company", "street", "line2", "city", "state", "postcode", "phone", "vat_id")
CARDS = {"a card": "4242424242424242", "a card with spaces": "5555 5555 5555 4444"}


@dataclass
class Planted:
    """`values` by name, the `refusals` that they met with at the door, what was `said` on the wire meanwhile,
    and the `letters` that nobody could handle."""

    values: dict[str, str]
    order_id: str = ""
    confirmed_id: str = ""
    refusals: list[httpx.Response] = field(default_factory=list)
    said: list[AbstractIncomingMessage] = field(default_factory=list)
    letters: list[AbstractIncomingMessage] = field(default_factory=list)

    def keep(self, name: str, value: str) -> str:
        self.values[name] = value
        return value


def told_to_the_stack(stack: Stack) -> dict[str, str]:
    """Every secret that was made for it."""
    secrets = {file.name: file.read_text() for file in stack.layout.secrets.iterdir() if file.is_file()}
    keys = json.loads(secrets.pop("signing-keys.json", '{"keys": []}'))["keys"]
    return secrets | {f"signing key {key['kid']}": key["d"] for key in keys}


async def plant(stack: Stack) -> Planted:
    mark = uuid4().hex
    planted = Planted(
        {
            "an account's e-mail": f"ada.{mark}@privacy.example",
            "a password": f"correct & horse/{mark}",
            "a new password": f"better & horse/{mark}",
            "a deleted e-mail": f"mary.{mark}@privacy.example",
            "a deleted password": f"former & horse/{mark}",
            "a wrong password": f"wrong & horse/{mark}",
            "a mistyped e-mail": f"bob.{mark}@privacy",
            "an order's e-mail": f"eve.{mark}@privacy.example",
            "nonsense": f"nonsense {mark}",
            "a return URL": f"http://localhost:3000/back/{mark}",
            "a foreign return URL": f"https://elsewhere.example/back/{mark}",
        }
    )
    for whose in ("a", "a saved", "a deleted"):
        planted.values |= {f"{whose} {part}": text for part, text in _new_address().items()}
    async with new_play(scenario_shop(stack)) as play:
        tap = await play.broker.watch()

        async def listen(answer: httpx.Response) -> None:
            if answer.is_error:
                await answer.aread()
                planted.refusals.append(answer)

        play.http.event_hooks["response"] = [listen]
        await _have_an_account(play, planted)
        await _order_as_a_guest(play, planted)
        await _watch_claim_and_look_up(play, planted)
        await _confirm_with_the_bank(play, planted)
        await _delete_an_account(play, tap, planted)
        await _go_wrong_at_the_door(play, planted)
        await _spoil(play, tap, planted)
        planted.said += tap.messages
    return planted


def _new_address() -> dict[str, str]:
    """Every part but the country, each with a value of its own, within its length."""
    mark = uuid4().hex
    short = {"postcode": mark[:14], "phone": f"+44 {int(mark[:10], 16):013}", "vat_id": f"GB{mark[:28]}"}
    return {part: f"{part} {mark}" for part in ADDRESS} | short


def address(planted: Planted, whose: str) -> dict[str, str]:
    """The address that was planted under `a …`, `a saved …` or `a deleted …`."""
    return {part: planted.values[f"{whose} {part}"] for part in ADDRESS} | {"country": "GB"}


async def _have_an_account(play: Play, planted: Planted) -> None:
    http, v = play.http, planted.values
    account = {"email": v["an account's e-mail"], "password": v["a password"]}
    form = {"username": account["email"], "password": account["password"]}
    must(await http.post("/v1/users", json=account), 201)
    must(await http.post("/v1/users", json=account), 409)
    must(await http.post("/v1/users", json=account | {"email": v["a mistyped e-mail"]}), 422)
    must(await http.post("/v1/token", data=form | {"password": v["a wrong password"]}), 400, 401)
    tokens = must(await http.post("/v1/token", data=form), 200)
    planted.keep("an access token", tokens["access_token"])
    first = planted.keep("a refresh token", tokens["refresh_token"])
    again = must(await http.post("/v1/token/refresh", data={"refresh_token": first}), 200)
    second = planted.keep("the next refresh token", again["refresh_token"])
    last = must(await http.post("/v1/token/refresh", data={"refresh_token": second}), 200)
    planted.keep("the last refresh token", last["refresh_token"])
    bearer = {"Authorization": f"Bearer {last['access_token']}"}
    await _save_address(http, bearer, address(planted, "a saved"))
    must(await http.post("/v1/token/refresh", data={"refresh_token": first}), 400, 401)  # the family ends
    await _forget_the_password(play, planted)


async def _save_address(http: httpx.AsyncClient, bearer: dict[str, str], saved: dict[str, str]) -> None:
    path, lacking = f"/v1/users/me/addresses/{uuid4()}", saved | {"postcode": ""}
    must(await http.put(path, json={"address": saved}, headers=bearer), 200)
    must(await http.put(path, json={"address": lacking}, headers=bearer), 422)


async def _forget_the_password(play: Play, planted: Planted) -> None:
    planted.keep("a confirmation's token", await _mailed(play, "confirm"))
    must(
        await play.http.post("/v1/password-resets", json={"email": planted.values["an account's e-mail"]}),
        202,
    )
    token = planted.keep("a password reset's token", await _mailed(play, "reset/new"))
    body = {"token": token, "password": planted.values["a new password"]}
    must(await play.http.post("/v1/password-resets/complete", json=body), 204)
    must(await play.http.post("/v1/password-resets/complete", json=body), 422)


async def _mailed(play: Play, page: str) -> str:
    """The token in the link to that page, of the newest mail that has one."""
    mailbox = play.shop.mailbox_url
    async with asyncio.timeout(60):
        while True:
            for mail in await mails(play.http, mailbox):
                if mail.reason in ("welcome", "account"):
                    linked = re.search(rf"https?://\S+/{page}#(\S+)", await text_of(play.http, mailbox, mail))
                    if linked:
                        return linked[1]
            await asyncio.sleep(0.2)


async def _order_as_a_guest(play: Play, planted: Planted) -> None:
    shopper = play.shopper = await Shopper.guest(play.http)
    planted.keep("a guest's token", shopper.token)
    shopper.email = planted.values["an order's e-mail"]
    await shopper.fill_cart({play.sku: 1})
    shipping = address(planted, "a")
    for card in CARDS.values():
        must(await shopper.try_check_out(card), 422)
    must(await shopper.try_check_out(shipping=shipping | {"postcode": ""}), 422)
    must(await shopper.try_check_out(shipping=shipping | {"phone": shipping["name"]}), 422)
    planted.order_id = await shopper.check_out(shipping=shipping)
    await shopper.until(planted.order_id, "paid")
    planted.values |= CARDS


async def _watch_claim_and_look_up(play: Play, planted: Planted) -> None:
    shopper = play.shopper
    play.order_id = planted.order_id
    await play.until_mailed("receipt")
    claimed_with = await claim_token(play, planted.order_id)
    assert claimed_with is not None, "our own mailbox shows its mails"
    token = planted.keep("a claim's token", claimed_with)
    must(await shopper.claim(token), 403)
    must(await shopper.claim(f"{token}A"), 403)
    number = (await shopper.order(planted.order_id))["number"]
    must(await shopper.look_up(number), 200)
    must(await play.http.post("/v1/order-lookups", json={"number": "0" * 10, "email": shopper.email}), 404)
    events = f"/v1/orders/{planted.order_id}/events"
    issued = must(await play.http.post(f"{events}/ticket", headers=shopper.headers), 201)
    ticket = planted.keep("a stream's ticket", issued["ticket"])
    (await play.http.get(events, params={"ticket": ticket})).raise_for_status()
    must(await play.http.get(events, params={"ticket": f"{ticket}A"}), 401)


async def _confirm_with_the_bank(play: Play, planted: Planted) -> None:
    shopper, card = play.shopper, "pm_card_authenticationRequired"
    await shopper.fill_cart({play.sku: 1})
    must(await shopper.try_check_out(card, return_url=planted.values["a foreign return URL"]), 422)
    planted.confirmed_id = await shopper.check_out(card, return_url=planted.values["a return URL"])
    asked = await shopper.until_order(planted.confirmed_id, lambda order: order["action"])
    page = planted.keep("a bank's page", asked["action"]["url"])
    [secret] = parse_qs(urlsplit(page).query)["client_secret"]
    planted.keep("a client secret", secret)
    await press_bank_button(play.http, play.shop.sandbox_url, page, "complete")
    await shopper.until(planted.confirmed_id, "paid")


async def _delete_an_account(play: Play, tap: Tap, planted: Planted) -> None:
    """Of which nothing is left anywhere: its order is over, so that it is anonymised."""
    http, v = play.http, planted.values
    account = {"email": v["a deleted e-mail"], "password": v["a deleted password"]}
    form = {"username": account["email"], "password": account["password"]}
    must(await http.post("/v1/users", json=account), 201)
    token = must(await http.post("/v1/token", data=form), 200)["access_token"]
    shopper = Shopper(http, token, account["email"])
    await _save_address(http, shopper.headers, address(planted, "a deleted"))
    await shopper.fill_cart({play.sku: 1})
    order_id = await shopper.check_out(shipping=address(planted, "a deleted"))
    await shopper.until(order_id, "paid")
    admin = await logged_in(http, play.shop)
    must(await http.post(f"/v1/orders/{order_id}/fulfil", headers=admin), 200)

    deletion = {"password": account["password"]}
    must(await http.post("/v1/users/me/deletion", json=deletion, headers=shopper.headers), 204)

    must(await http.post("/v1/token", data=form), 400)
    async with asyncio.timeout(120):  # the job of order comes round once a minute
        while f"order.anonymised/{order_id}" not in [message.message_id for message in tap.messages]:
            await asyncio.sleep(0.5)
        while not await play.broker.is_quiet():
            await asyncio.sleep(0.1)
    order = must(await http.get(f"/v1/orders/{order_id}", headers=admin), 200)
    assert (order["status"], order["total"]["amount"], order["shipping"]) == ("paid", 500, None)


async def _go_wrong_at_the_door(play: Play, planted: Planted) -> None:
    token = planted.values["a guest's token"]
    form = {"username": planted.values["an account's e-mail"], "password": planted.values["a password"]}
    bearer = {"Authorization": f"Bearer {token}"}
    await play.http.get("/v1/orders", params={"jwt": token, "email": form["username"]})
    await play.http.get("/v1/orders", headers={"Authorization": f"Bearer {token[:-4]}AAAA"})
    await play.http.get("/v1/orders", auth=(form["username"], form["password"]))
    await play.http.get("/v1/orders", headers={"Cookie": f"token={token}"})
    await play.http.post("/v1/token", params=form, data=form | {"grant_type": "client_credentials"})
    await play.http.post("/v1/orders", content=json.dumps(form)[:-1], headers=bearer)
    await play.http.post(
        "/v1/webhooks/stripe", json=form, headers={"Stripe-Signature": f"t=1,v1={planted.values['nonsense']}"}
    )


async def _spoil(play: Play, tap: Tap, planted: Planted) -> None:
    """Copies of events in which a number or a moment has become a text, or which are no JSON: nobody can read
    them."""
    created, asked = (
        next(message for message in tap.messages if message.message_id == wanted)
        for wanted in (
            f"order.created/{planted.order_id}",
            f"payment.action_required/{planted.confirmed_id}",
        )
    )
    order, action = json.loads(created.body), json.loads(asked.body)
    order["total"]["amount"] = action["expires_at"] = planted.values["nonsense"]
    for queue, message, body in (
        ("payment", created, json.dumps(order).encode()),
        ("product", created, b"{" + created.body),
        ("order", asked, json.dumps(action).encode()),
    ):
        copy = copy_of(message)
        copy.message_id, copy.body = f"planted/{uuid4()}", body
        await play.broker.channel.default_exchange.publish(copy, queue)
        planted.letters.append(await play.broker.find(f"{queue}.dead", copy.message_id, take=True))
