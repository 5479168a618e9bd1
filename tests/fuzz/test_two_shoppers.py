"""Two shoppers in a running shop, one of them hostile.

Whatever the hostile one sends, through the gateway and with tokens of its own: the other's checkout is
accepted and paid, its reads and its stream are answered. The hostile one's requests come from a seed and are
bounded in number; their answers are checked as well, for no 5xx may come of them.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest

from devstack import Stack
from scenarios.shopper import Shopper, must

SEED = 8
REQUESTS = 40  # of each attack
AT_ONCE = 8
HONEST = 4  # checkouts during each attack
SECONDS = 60  # that an honest order may take to be paid, on a busy machine
DECLINED = "pm_card_chargeDeclined"

Attack = Callable[["Hostile"], Coroutine[Any, Any, None]]


class Hostile:
    """A guest with all the other's ids at hand, and what it was answered."""

    def __init__(self, shopper: Shopper, dice: random.Random, skus: list[str], theirs: UUID) -> None:
        self.shopper = shopper
        self.dice = dice
        self.skus = skus
        self.theirs = theirs
        self.answers: Counter[int] = Counter()
        self.broken: list[str] = []

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.shopper.headers, **more.pop("headers", {})}
        answer = await self.shopper.http.request(method, path, headers=headers, **more)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500:
            self.broken.append(f"{method} {path[:80]}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def cart(self, items: Mapping[str, Any]) -> httpx.Response:
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in items.items()]
        return await self.send("PUT", "/v1/cart", json={"items": lines})

    async def order(self, key: str | None = None, **more: Any) -> httpx.Response:
        body = {"payment_method": DECLINED, "email": self.shopper.email, **more}
        return await self.send(
            "POST", "/v1/orders", json=body, headers={"Idempotency-Key": key or uuid4().hex}
        )


def text(dice: random.Random, length: int) -> str:
    """Of characters that somebody, somewhere, takes for something."""
    return "".join(dice.choice("a0.-_/\\?&=#%+ '\";<\u00e9\u202e\U0001f600\n\x7f") for _ in range(length))


async def junk_skus(hostile: Hostile) -> None:
    """Carts and items with what is no sku, and checkouts of whatever has become of it."""
    for _ in range(REQUESTS // 4):
        length = hostile.dice.choice((1, 28, 32, 33, 200))
        names = [text(hostile.dice, length) + str(n) for n in range(hostile.dice.choice((1, 300)))]
        await hostile.cart(dict.fromkeys(names, 1))
        await hostile.send(
            "PUT",
            f"/v1/cart/items/{quote(names[0], safe='')}",
            json={"quantity": 1},
        )
        await hostile.send("GET", "/v1/products", params={"sku": names[:20]})
        await hostile.order()


async def old_carts(hostile: Hostile) -> None:
    """Carts that hold products of which one is unknown, or retired, or not to be had in such numbers."""
    for _ in range(REQUESTS // 2):
        sku = hostile.dice.choice([*hostile.skus, f"NO-{uuid4().hex[:8]}"])
        await hostile.cart({sku: hostile.dice.choice((1, 10_000))})
        await hostile.order()


async def quantities(hostile: Hostile) -> None:
    """Numbers that are none, or none that one can order."""
    odd: tuple[Any, ...] = (0, -1, 10_001, 2**31, 2**63, 10**30, 1.5, True, "1", None, [], {})
    for _ in range(REQUESTS // 2):
        await hostile.cart({hostile.skus[0]: hostile.dice.choice(odd)})
        await hostile.order(expires_in=hostile.dice.choice(odd))


async def thousand_lines(hostile: Hostile) -> None:
    """As many lines as a cart holds, with a card that is declined, over and over and all at once."""
    must(await hostile.cart(dict.fromkeys(hostile.skus, 1)), 200)
    for _ in range(REQUESTS // AT_ONCE):
        await asyncio.gather(*(hostile.order() for _ in range(AT_ONCE)))


async def checkouts_at_once(hostile: Hostile) -> None:
    """The same key, and others, all at once; and cancelled as soon as they are there."""
    must(await hostile.cart({hostile.skus[0]: 1}), 200)
    for _ in range(REQUESTS // AT_ONCE):
        key = uuid4().hex
        answers = await asyncio.gather(
            *(hostile.order(hostile.dice.choice((key, None))) for _ in range(AT_ONCE))
        )
        ids = {answer.json()["order_id"] for answer in answers if answer.status_code == 202}
        cancels = [f"/v1/orders/{order_id}/cancel" for order_id in ids for _ in range(2)]
        await asyncio.gather(*(hostile.send("POST", path) for path in cancels))


async def anothers_order(hostile: Hostile) -> None:
    """Whatever may be done to an order, to one of the other's."""
    for _ in range(REQUESTS // 4):
        await hostile.send("POST", f"/v1/orders/{hostile.theirs}/cancel")
        for more in ("", "/timeline", "/events"):
            answer = await hostile.send("GET", f"/v1/orders/{hostile.theirs}{more}")
            assert answer.status_code == 404


async def anothers_ticket(hostile: Hostile) -> None:
    """Tickets for its own order, tampered with or not, at the other's stream; and what is no ticket."""
    must(await hostile.cart({hostile.skus[0]: 1}), 200)
    own = must(await hostile.order(expires_in=600), 202)["order_id"]
    issued = await hostile.send("POST", f"/v1/orders/{own}/events/ticket")
    ticket = must(issued, 201)["ticket"]
    refused = await hostile.send("POST", f"/v1/orders/{hostile.theirs}/events/ticket")
    assert refused.status_code == 404
    for n in range(REQUESTS):
        at = hostile.dice.randrange(len(ticket))
        odd = (ticket, ticket[:at], ticket[:at] + "A" + ticket[at:], text(hostile.dice, 80), ticket * 9)
        path = f"/v1/orders/{hostile.theirs}/events"
        answer = await hostile.send("GET", path, params={"ticket": odd[n % len(odd)]})
        assert answer.status_code == 401


async def streams(hostile: Hostile) -> None:
    """More streams of its own order than one may have, all kept open."""
    must(await hostile.cart({hostile.skus[0]: 1}), 200)
    order_id = must(await hostile.order(expires_in=600), 202)["order_id"]
    path = f"/v1/orders/{order_id}/events"

    async def watch() -> None:
        async with hostile.shopper.http.stream("GET", path, headers=hostile.shopper.headers) as answer:
            hostile.answers[answer.status_code] += 1
            async for _ in answer.aiter_bytes():
                pass

    await asyncio.gather(*(watch() for _ in range(REQUESTS)))


async def headers(hostile: Hostile) -> None:
    """Headers that something on the way could believe, choke on or repeat."""
    named = {
        "X-Request-Id": "x" * 3000,
        "X-Kong-Request-Id": "x" * 3000,
        "X-Forwarded-For": ",".join(["127.0.0.1"] * 300),
        "traceparent": "00-" + "<" * 32 + "-" + "<" * 16 + "-01",
        "tracestate": "a=" + "b" * 5000,
        "Idempotency-Key": "k" * 300,
        "Last-Event-ID": ",".join(["order.paid"] * 40),
        "If-None-Match": '"' + "e" * 900 + '"',
        "Accept": "*/*;q=" + "9" * 300,
        "Connection": "X-Forwarded-For, Idempotency-Key, traceparent",
    }
    for _ in range(REQUESTS // 2):
        name = hostile.dice.choice(list(named))
        answer = await hostile.send("GET", "/v1/cart", headers={name: named[name]})
        assert "x" * 100 not in str(answer.headers)
        await hostile.send(
            "POST", "/v1/orders", json={"payment_method": DECLINED}, headers={name: named[name]}
        )


async def searches(hostile: Hostile) -> None:
    """Searches, pages and bulk reads as dear as they can be had."""
    for _ in range(REQUESTS // 4):
        words = " ".join(text(hostile.dice, 6) for _ in range(25))[:200]
        await hostile.send("GET", "/v1/products", params={"q": words})
        await hostile.send("GET", "/v1/products", params={"q": "lantrn " * 28})
        await hostile.send("GET", "/v1/products", params={"sku": hostile.skus[:200]})
        await hostile.send("GET", "/v1/products", params={"limit": 100, "cursor": text(hostile.dice, 900)})


ATTACKS: list[Attack] = [
    junk_skus,
    old_carts,
    quantities,
    thousand_lines,
    checkouts_at_once,
    anothers_order,
    anothers_ticket,
    streams,
    headers,
    searches,
]


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=SECONDS, limits=limits) as client:
        yield client


@pytest.fixture
async def skus(stack: Stack, http: httpx.AsyncClient) -> list[str]:
    """A thousand products, of which there is enough."""
    login = {"username": stack.admin_email, "password": stack.admin_password}
    admin = must(await http.post("/v1/token", data=login), 200)["access_token"]
    run = uuid4().hex[:8]
    items = [
        {"sku": f"{run}-{n}", "name": f"Lantern {n}", "price": 250, "stock": 100_000} for n in range(1000)
    ]
    bearer = {"Authorization": f"Bearer {admin}"}
    must(await http.post("/v1/products/bulk", json={"items": items}, headers=bearer), 200)
    return [str(item["sku"]) for item in items]


async def buy(http: httpx.AsyncClient, sku: str) -> None:
    """An honest purchase, watched to its end."""
    shopper = await Shopper.guest(http)
    await shopper.fill_cart({sku: 1})
    order_id = must(await shopper.try_check_out(), 202)["order_id"]
    path = f"/v1/orders/{order_id}/events"
    async with http.stream("GET", path, headers=shopper.headers) as stream:
        assert stream.status_code == 200
        data = [line async for line in stream.aiter_lines() if line.startswith("data: ")]
    assert json.loads(data[-1].removeprefix("data: "))["status"] == "paid"
    for more in ("", "/timeline"):
        must(await http.get(f"/v1/orders/{order_id}{more}", headers=shopper.headers), 200)
    assert len(must(await http.get("/v1/products", params={"sku": sku}), 200)["items"]) == 1


@pytest.mark.timeout(4 * SECONDS)
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
async def test_a_hostile_shoppers_requests_do_not_affect_the_others(
    attack: Attack, http: httpx.AsyncClient, skus: list[str]
) -> None:
    honest = await Shopper.guest(http)
    await honest.fill_cart({skus[0]: 1})
    theirs = UUID(must(await honest.try_check_out(), 202)["order_id"])
    hostile = Hostile(await Shopper.guest(http), random.Random(SEED), skus, theirs)
    attacking = asyncio.create_task(attack(hostile))
    try:
        for _ in range(HONEST):
            async with asyncio.timeout(SECONDS):
                await buy(http, skus[1])
        if attack is streams:  # they stay open for as long as they may
            attacking.cancel()
        await asyncio.wait([attacking], timeout=SECONDS)
        assert attacking.done()
        if not attacking.cancelled():
            attacking.result()
    finally:
        attacking.cancel()
        await asyncio.gather(attacking, return_exceptions=True)
    assert hostile.broken == []
    assert hostile.answers.total() >= REQUESTS // 2, "it has hardly sent anything"
    assert must(await http.get(f"/v1/orders/{theirs}", headers=honest.headers), 200)["reason"] is None
