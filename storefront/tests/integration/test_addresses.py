"""The address book, and the checkout of a shopper who has one."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from ..conftest import Browser, FakeApi
from .test_cart import CART, add_a_mug
from .test_checkout import ADDRESS, PLACED, form_of

HOME_ID, WORK_ID = "01900000-0000-4000-8000-000000000001", "01900000-0000-4000-8000-000000000002"
HOME = {part: text for part, text in ADDRESS.items() if part != "email"}
WORK = {"name": "Ada Neri", "street": "5 Lange Straße", "city": "Bonn", "postcode": "53111", "country": "DE"}
EMPTY = dict.fromkeys(("company", "line2", "state", "phone", "vat_id"), "")
BOOK = "/account/addresses"
API = "/v1/users/me/addresses"


def saved(*addresses: tuple[str, dict[str, str]]) -> dict[str, Any]:
    """The API's list; the first is the default."""
    return {
        "items": [
            {
                "address_id": address_id,
                "address": EMPTY | address,
                "is_default": number == 0,
                "saved_at": "2026-11-01T09:00:00Z",
            }
            for number, (address_id, address) in enumerate(addresses)
        ]
    }


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    tokens = {"access_token": "ada-token", "expires_in": 900, "refresh_token": "refresh"}
    api.answer("POST /v1/token", {"token_type": "Bearer", "scope": "", **tokens})
    api.answer("GET /v1/users/me", {"email": "ada@example.com"})
    api.answer("GET /v1/cart", CART)
    api.answer("GET /v1/cart/lines", {"items": [{"sku": "MUG-1", "quantity": 2}], "version": 1})
    api.answer("POST /v1/cart/items", {"version": 1, "quantity": 2})
    api.answer("POST /v1/orders", PLACED, 202)
    api.answer(f"GET {API}", saved((HOME_ID, HOME), (WORK_ID, WORK)))
    for address_id in (HOME_ID, WORK_ID):
        api.answer(f"PUT {API}/{address_id}", {})
        api.answer(f"DELETE {API}/{address_id}", None, 204)
    return api


@pytest.fixture
async def ada(browser: Browser) -> Browser:
    """A shopper who has logged in."""
    await browser.get("/login")
    answer = await browser.post("/login", email="ada@example.com", password="correct horse")
    assert answer.status_code == 303, answer.text
    return browser


@pytest.fixture
async def at_the_checkout(ada: Browser) -> Browser:
    await add_a_mug(ada)
    assert (await ada.get("/checkout")).status_code == 200
    return ada


async def test_addresses_are_on_one_line_each_as_their_country_writes_them(ada: Browser) -> None:
    page = await ada.get(BOOK)
    home, work = "1 Example Street, London N1 7AA, United Kingdom", "5 Lange Straße, 53111 Bonn, Germany"
    assert page.text.index(home) < page.text.index(work)
    assert page.text.count("(default)") == 1
    assert f'href="{BOOK}/{WORK_ID}"' in page.text


async def test_a_new_address_has_its_id_before_it_is_saved_so_that_it_is_saved_once(
    ada: Browser, api: FakeApi
) -> None:
    await ada.get(BOOK)
    path = ada.page.partition('class="button" href="')[2].partition('"')[0]
    new = str(UUID(path.removeprefix(f"{BOOK}/")))
    assert (await ada.get(path)).status_code == 200
    api.answer(f"PUT {API}/{new}", {})
    for _ in range(2):
        answer = await ada.post(path, is_default="yes", **WORK)
        assert (answer.status_code, answer.headers["location"]) == (303, BOOK)
        await ada.get(path)
    first, second = api.sent(f"PUT {API}/{new}")
    assert first.content == second.content
    assert json.loads(first.content) == {"address": WORK, "is_default": True}


async def test_an_address_is_changed(ada: Browser, api: FakeApi) -> None:
    page = await ada.get(f"{BOOK}/{WORK_ID}")
    assert 'value="5 Lange Straße"' in page.text
    assert page.text.index('id="postcode"') < page.text.index('id="city"')
    await ada.post(f"{BOOK}/{WORK_ID}", **WORK | {"street": "6 Lange Straße"})
    [request] = api.sent(f"PUT {API}/{WORK_ID}")
    assert json.loads(request.content)["address"]["street"] == "6 Lange Straße"
    assert "The address is saved." in (await ada.get(BOOK)).text


async def test_an_address_is_removed(ada: Browser, api: FakeApi) -> None:
    await ada.get(BOOK)
    answer = await ada.post(f"{BOOK}/{WORK_ID}/remove")
    assert answer.headers["location"] == BOOK
    assert len(api.sent(f"DELETE {API}/{WORK_ID}")) == 1


async def test_another_country_brings_its_fields_and_saves_nothing(ada: Browser, api: FakeApi) -> None:
    await ada.get(f"{BOOK}/{HOME_ID}")
    page = await ada.post(f"{BOOK}/{HOME_ID}", update="fields", **HOME | {"country": "US"})
    assert page.status_code == 200
    assert 'id="state"' in page.text
    assert not api.sent(f"PUT {API}/{HOME_ID}")


async def test_what_is_missing_is_said_beside_its_field_and_in_a_summary(ada: Browser, api: FakeApi) -> None:
    await ada.get(f"{BOOK}/{HOME_ID}")
    page = await ada.post(f"{BOOK}/{HOME_ID}", **HOME | {"city": " "})
    assert page.status_code == 422
    assert '<a href="#city">' in page.text
    assert 'aria-describedby="city-why"' in page.text
    assert "autofocus" in page.text
    assert not api.sent(f"PUT {API}/{HOME_ID}")


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (409, "/problems/address-book-full", "address book is full"),
        (429, "about:blank", "Wait a minute"),
        (503, "about:blank", "does not answer"),
    ],
)
async def test_a_refusal_says_what_to_do_and_what_was_entered_stays(
    ada: Browser, api: FakeApi, status: int, kind: str, text: str
) -> None:
    api.refuse(f"PUT {API}/{HOME_ID}", status, kind)
    await ada.get(f"{BOOK}/{HOME_ID}")
    page = await ada.post(f"{BOOK}/{HOME_ID}", **HOME)
    assert page.status_code == status
    assert text in page.text
    assert 'value="1 Example Street"' in page.text


async def test_a_full_book_offers_no_new_address(ada: Browser, api: FakeApi) -> None:
    api.answer(f"GET {API}", saved(*((str(uuid4()), HOME) for _ in range(20))))
    page = await ada.get(BOOK)
    assert "Add an address" not in page.text
    assert "address book is full" in page.text


@pytest.mark.parametrize("path", [BOOK, f"{BOOK}/{HOME_ID}"])
async def test_who_is_not_logged_in_is_asked_to(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


async def test_what_is_no_id_leads_nowhere(ada: Browser, api: FakeApi) -> None:
    assert (await ada.get(f"{BOOK}/nonsense")).status_code == 404
    await ada.get(BOOK)
    await ada.post(f"{BOOK}/..%2Flogout/remove")
    assert not [one for one in api.requests if one.method == "DELETE"]


async def test_the_default_is_chosen_at_the_checkout(at_the_checkout: Browser, api: FakeApi) -> None:
    page = at_the_checkout.page
    assert f'value="{HOME_ID}" checked' in page
    assert 'id="email" name="email" type="email"' in page
    assert 'value="ada@example.com"' in page
    form = form_of(at_the_checkout, address=WORK_ID, street="", city="", name="")
    assert (await at_the_checkout.post("/checkout", **form)).status_code == 303
    [placed] = api.sent("POST /v1/orders")
    assert json.loads(placed.content)["shipping"] == WORK


async def test_another_address_is_saved_once_if_the_shopper_wants_that(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    form = form_of(at_the_checkout, address="new", save="yes")
    api.answer(f"PUT {API}/{form['key']}", {})
    form["csrf"] = at_the_checkout.csrf
    for _ in range(2):
        assert (await at_the_checkout.post("/checkout", **form)).status_code == 303
    first, second = api.sent(f"PUT {API}/{form['key']}")
    assert first.content == second.content
    wanted = {name: text for name, text in ADDRESS.items() if name != "email"}
    assert json.loads(first.content) == {"address": wanted, "is_default": False}


async def test_an_address_is_not_saved_unasked(at_the_checkout: Browser, api: FakeApi) -> None:
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, address="new"))
    await at_the_checkout.get("/checkout")
    await at_the_checkout.post("/checkout", **form_of(at_the_checkout, address=HOME_ID, save="yes"))
    assert len(api.sent("POST /v1/orders")) == 2
    assert not [one for one in api.requests if one.method == "PUT"]


async def test_an_order_is_placed_also_if_its_address_cannot_be_saved(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    form = form_of(at_the_checkout, address="new", save="yes")
    api.refuse(f"PUT {API}/{form['key']}", 503)
    assert (await at_the_checkout.post("/checkout", **form)).headers["location"] == "/orders/0190-order"
    assert "could not be saved" in (await at_the_checkout.get("/")).text


async def test_an_address_that_was_removed_meanwhile_is_not_ordered_to(
    at_the_checkout: Browser, api: FakeApi
) -> None:
    api.answer(f"GET {API}", saved((HOME_ID, HOME)))
    page = await at_the_checkout.post("/checkout", **form_of(at_the_checkout, address=WORK_ID))
    assert page.status_code == 422
    assert '<a href="#address">' in page.text
    assert not api.sent("POST /v1/orders")


async def test_while_auth_does_not_answer_an_account_enters_an_address(ada: Browser, api: FakeApi) -> None:
    api.refuse(f"GET {API}", 503)
    api.refuse("GET /v1/users/me", 503)
    await add_a_mug(ada)
    page = await ada.get("/checkout")
    assert page.status_code == 200
    assert 'name="address"' not in page.text
    assert (await ada.post("/checkout", **form_of(ada))).status_code == 303


async def test_a_guest_is_offered_no_address_book(browser: Browser, api: FakeApi) -> None:
    await add_a_mug(browser)
    page = await browser.get("/checkout")
    assert 'name="save"' not in page.text
    assert 'name="address"' not in page.text
    assert not api.sent(f"GET {API}")
