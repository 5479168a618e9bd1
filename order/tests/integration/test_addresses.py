"""Where an order is shipped to: from the checkout to its readers."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.messaging.encryption import Cipher

BRIEF = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}
EMPTY = dict.fromkeys(("company", "line2", "state", "phone", "vat_id"), "")
FULL = {
    "name": "Ada Neri",
    "company": "Macchine S.r.l.",
    "street": "Via Roma 1",
    "line2": "Interno 4",
    "city": "Modena",
    "state": "MO",
    "postcode": "41121",
    "country": "IT",
    "phone": "+39 059 555-0100 int. 7",
    "vat_id": "IT12345670017",
}
HONG_KONG = {"name": "Li Na", "street": "8 Harbour Road", "city": "Wan Chai", "country": "HK"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (FULL, FULL),
        (BRIEF, {**BRIEF, **EMPTY}),
        (HONG_KONG, {**HONG_KONG, **EMPTY, "postcode": ""}),
        ({**HONG_KONG, **EMPTY, "postcode": " "}, {**HONG_KONG, **EMPTY, "postcode": ""}),
    ],
)
async def test_the_shopper_staff_and_who_ships_read_the_whole_address(
    order: Any, shopper: UUID, cipher: Cipher, given: dict[str, str], kept: dict[str, str]
) -> None:
    placed = await order.place(shopper, shipping=given)
    assert placed.status_code == 202, placed.text
    path = placed.json()["links"]["self"]
    for caller in ({"shopper": shopper}, {"shopper": uuid4(), "role": "admin"}):
        assert (await order.get(path, **caller)).json()["shipping"] == kept
    [listed] = (await order.get("/v1/orders", shopper)).json()["items"]
    assert listed["shipping"] == kept
    [(_, created)] = await order.published()
    assert json.loads(cipher.decrypt(created["shipping"])) == kept


async def test_an_answer_is_documented_to_have_every_part(order: Any) -> None:
    document = (await order.http.get("/openapi.json")).json()
    assert set(document["components"]["schemas"]["Address"]["required"]) == {*FULL}


@pytest.mark.parametrize("missing", [{}, {"postcode": ""}])
async def test_a_missing_postcode_is_refused_where_the_country_needs_one(
    order: Any, services: Any, shopper: UUID, missing: dict[str, str]
) -> None:
    address = {name: text for name, text in BRIEF.items() if name != "postcode"} | missing
    refused = await order.place(shopper, key="once", shipping=address)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"pointer": "/shipping/postcode", "detail": "Required: an address in GB needs a postcode."}
    ]
    assert services.asked == []
    assert (await order.place(shopper, key="once", shipping=BRIEF)).status_code == 202


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("company", "x" * 81),
        ("line2", "Flat 2\nTotal: 0.00"),
        ("state", None),
        ("phone", "ask my friend"),
        ("vat_id", "1" * 33),
    ],
)
async def test_a_part_that_cannot_be_right_is_named(
    order: Any, shopper: UUID, part: str, text: str | None
) -> None:
    refused = await order.place(shopper, shipping={**FULL, part: text})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/shipping/{part}"]


async def test_an_address_that_the_previous_release_stored_shows_empty_parts(
    order: Any, paid: Any, shopper: UUID
) -> None:
    order_id = (await order.place(shopper, shipping=BRIEF)).json()["order_id"]
    await order.database.execute("UPDATE orders SET shipping = $1", json.dumps(BRIEF))
    await order.consume(paid(UUID(order_id)))
    view = (await order.get(f"/v1/orders/{order_id}", shopper)).json()
    assert (view["status"], view["shipping"]) == ("paid", {**BRIEF, **EMPTY})
