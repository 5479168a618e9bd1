"""The addresses that an account keeps."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from auth.domain import MOST_ADDRESSES

from ..conftest import Auth

PATH = "/v1/users/me/addresses"
HOME = {"name": "Ada", "street": "1 Main St", "city": "Hull", "postcode": "HU1", "country": "GB"}
EMPTY = dict.fromkeys(("company", "line2", "state", "phone", "vat_id"), "")


class Book:
    """An account's address book, as its owner uses it."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self.http = http
        self.headers = {"Authorization": f"Bearer {token}"}

    async def put(self, address_id: object, address: dict[str, str] = HOME, **more: Any) -> httpx.Response:
        body = {"address": address, **more}
        return await self.http.put(f"{PATH}/{address_id}", json=body, headers=self.headers)

    async def remove(self, address_id: object) -> int:
        return (await self.http.delete(f"{PATH}/{address_id}", headers=self.headers)).status_code

    async def saved(self) -> list[tuple[str, bool]]:
        """The streets in the sequence of the list, each with whether it is the default."""
        answer = await self.http.get(PATH, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return [(one["address"]["street"], one["is_default"]) for one in answer.json()["items"]]


async def book_of(auth: Auth, email: str = "ada@example.com") -> Book:
    await auth.register(email)
    return Book(auth.http, (await auth.log_in(email)).json()["access_token"])


@pytest.fixture
async def book(auth: Auth) -> Book:
    return await book_of(auth)


def living_at(street: str) -> dict[str, str]:
    return HOME | {"street": street}


async def test_an_address_is_kept_as_a_checkout_takes_it(book: Book) -> None:
    address_id = str(uuid4())
    answer = await book.put(address_id, HOME | {"phone": " +44 20 7946 0958 "})
    assert answer.status_code == 200
    kept = answer.json()
    assert kept["address"] == EMPTY | HOME | {"phone": "+44 20 7946 0958"}
    assert (await book.http.get(PATH, headers=book.headers)).json() == {"items": [kept]}
    assert kept["address_id"] == address_id


async def test_saving_it_again_replaces_it(book: Book) -> None:
    address_id = uuid4()
    for street in ("1 Main St", "2 Main St", "2 Main St"):
        assert (await book.put(address_id, living_at(street))).status_code == 200
    assert await book.saved() == [("2 Main St", True)]


async def test_one_address_is_the_default_until_another_becomes_it(book: Book) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    await book.put(first, living_at("first"))
    await book.put(second, living_at("second"))
    assert await book.saved() == [("first", True), ("second", False)]
    await book.put(third, living_at("third"), is_default=True)
    assert await book.saved() == [("third", True), ("second", False), ("first", False)]
    await book.put(third, living_at("third"), is_default=False)
    assert (await book.saved())[0] == ("third", True)


async def test_when_the_default_is_removed_the_latest_becomes_it(book: Book) -> None:
    ids = [uuid4() for _ in range(3)]
    for number, address_id in enumerate(ids):
        await book.put(address_id, living_at(str(number)))
    assert await book.remove(ids[0]) == 204
    assert await book.saved() == [("2", True), ("1", False)]
    assert await book.remove(ids[0]) == 204, "once more has no effect"
    for address_id in ids[1:]:
        await book.remove(address_id)
    assert await book.saved() == []


async def test_an_account_has_a_limited_number_of_addresses(book: Book) -> None:
    ids = [uuid4() for _ in range(MOST_ADDRESSES + 3)]
    answers = await asyncio.gather(*(book.put(address_id, is_default=True) for address_id in ids))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [200] * MOST_ADDRESSES + [409] * 3
    assert [is_default for _, is_default in await book.saved()] == [True] + [False] * (MOST_ADDRESSES - 1)
    refused = answers[statuses.index(409)]
    assert refused.json()["type"] == "/problems/address-book-full"
    kept = ids[statuses.index(200)]
    assert (await book.put(kept, living_at("elsewhere"))).status_code == 200, "a full book can be changed"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"postcode": ""}, "/address/postcode"),
        ({"country": "XX"}, "/address/country"),
        ({"city": " "}, "/address/city"),
        ({"phone": "call me"}, "/address/phone"),
        ({"street": "1 Main St\nBcc: x"}, "/address/street"),
        ({"note": "x"}, "/address/note"),
    ],
)
async def test_what_a_checkout_would_refuse_is_not_kept(
    book: Book, changed: dict[str, str], pointer: str
) -> None:
    answer = await book.put(uuid4(), HOME | changed)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await book.saved() == []


async def test_an_address_belongs_to_its_account(auth: Auth, book: Book) -> None:
    address_id = uuid4()
    await book.put(address_id, living_at("hers"))
    other = await book_of(auth, "eve@example.com")
    assert await other.saved() == []
    assert await other.remove(address_id) == 204
    assert (await other.put(address_id, living_at("another's"))).status_code == 200
    assert await book.saved() == [("hers", True)]
    assert await other.saved() == [("another's", True)]


async def test_a_deleted_account_has_no_address_book(book: Book) -> None:
    deletion = {"password": "correct horse"}
    await book.http.post("/v1/users/me/deletion", json=deletion, headers=book.headers)
    assert (await book.http.get(PATH, headers=book.headers)).status_code == 404
    assert (await book.put(uuid4())).status_code == 404
    assert await book.remove(uuid4()) == 404
