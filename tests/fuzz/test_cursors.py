"""Whatever a cursor is made of, a list answers with a page or with 422: anybody can decode a cursor, change
it and send it back."""

import base64
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from chassis.http.identity import TokenVerifier
from chassis.http.jwks import PublishedKeys
from chassis.http.provided import registry
from chassis.testing import TokenMint
from product.cursors import SORT_ORDERS
from tests.routes.services import SERVICES, app_of

SEED = 11
SCRAMBLED = 100  # texts that a cursor is scrambled to
MINT = TokenMint("saga-shop", "saga-shop")

LISTS = {("product", "/v1/products"): "cursor", ("order", "/v1/orders"): "before"}
"""The parameter of each list that takes the `next` of a page, or what is in it."""

ODD: list[Any] = [
    *(None, True, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308, 5e-324),
    *(
        math.nan,
        math.inf,
        "nan",
        "inf",
        "1e999",
        "9" * 500,
        "",
        "A",
        "\0",
        "a\0b",
        "\ufffe",
        "\U0001f600" * 60,
    ),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z"),
    *("0001-01-01", "2026-01-01T00:00:00", "2026-W01-1T00:00:00Z", "-4713-01-01T00:00:00Z", "yesterday"),
    *("00000000-0000-0000-0000-000000000000", "{00000000000000000000000000000000}", "urn:uuid:" + "f" * 32),
    *([], [[]], {}, {"a": 1}, ["name", "A", "A"], [[["A"] * 50] * 3]),
]


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def mutated(cursor: str) -> Iterator[str]:
    """What has the cursor's form and something odd in it, if it is encoded JSON; and what has no form."""
    try:
        members = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        members = []
    for odd in ODD:
        yield from (encoded([*members[:n], odd, *members[n + 1 :]]) for n in range(len(members)))
        yield from (encoded(odd), encoded([*members, odd]), str(odd))
    for length in range(0, len(cursor), 3):
        yield cursor[:length]
    dice = random.Random(SEED)
    for _ in range(SCRAMBLED):
        at, character = dice.randrange(len(cursor)), chr(dice.choice((*range(256), 0x2028, 0x1F600)))
        yield cursor[:at] + character + cursor[at + dice.randrange(2) :]


@asynccontextmanager
async def client(service: str, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a shopper's token."""
    app = app_of(service, database_url=database_url)
    issuer = httpx.MockTransport(lambda _: httpx.Response(200, json=MINT.jwks))
    keys = PublishedKeys("http://auth", http=httpx.AsyncClient(transport=issuer))
    registry(app).provide(TokenVerifier(keys, "saga-shop", "saga-shop"))
    headers = {"authorization": f"Bearer {MINT.token(uuid4(), role='shopper')}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"http://{service}", headers=headers
        ) as http,
    ):
        yield http
        await keys.aclose()


@pytest.fixture
async def catalogue(migrated: Callable[[str], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A catalogue of three products."""
    url = migrated("product")
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    for sku in ("A", "B", "C"):
        await connection.execute(
            "INSERT INTO product (sku, name, description, price, currency)"
            " VALUES ($1, 'Red lamp', '', 100, 'GBP')",
            sku,
        )
        await connection.execute("INSERT INTO stock VALUES ($1, 1, 0, 0, 1, 'active')", sku)
    await connection.close()
    async with client("product", url) as http:
        yield http


async def refused(
    http: httpx.AsyncClient, path: str, parameter: str, cursors: Iterator[str], **more: str
) -> int:
    """How many of the cursors were answered with 422; all others have to be answered with a page."""
    count = 0
    for cursor in cursors:
        answer = await http.get(path, params={parameter: cursor, **more})
        assert answer.status_code in (200, 422), (answer.status_code, cursor)
        count += answer.status_code == 422
    return count


def test_every_list_is_in_these_tests() -> None:
    """A list's parameters have the cursor, and its pages the next one."""
    found = set()
    for service in SERVICES:
        document = app_of(service).openapi()
        for path, operations in document["paths"].items():
            shown = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            model = shown.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
            if "next" in document["components"]["schemas"].get(model, {}).get("properties", {}):
                found.add((service, path))
    assert found == set(LISTS)


@pytest.mark.parametrize("sort", SORT_ORDERS)
async def test_a_crafted_cursor_of_the_catalogue_is_refused(sort: str, catalogue: httpx.AsyncClient) -> None:
    more = {"sort": sort} | ({"q": "lamp"} if sort == "relevance" else {})
    first = (await catalogue.get("/v1/products", params={"limit": "1", **more})).json()
    [cursor] = parse_qs(urlsplit(first["next"]).query)["cursor"]
    assert len((await catalogue.get(first["next"])).json()["items"]) == 1
    assert await refused(catalogue, "/v1/products", "cursor", mutated(cursor), **more) > SCRAMBLED


async def test_a_crafted_cursor_of_the_orders_is_refused(migrated: Callable[[str], str]) -> None:
    async with client("order", migrated("order")) as http:
        cursors = mutated(str(UUID(int=2**127)))
        assert await refused(http, "/v1/orders", "before", cursors) > SCRAMBLED
