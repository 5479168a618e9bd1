import json
from pathlib import Path

import httpx
import pytest

from shop.catalogue.loading import BATCH, Loaded, load, read
from shop.errors import ShopError


def _shop(*answers: httpx.Response) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    """A client whose requests get these answers, and the requests."""
    requests: list[httpx.Request] = []
    rest = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return next(rest)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://shop"), requests


async def test_a_large_file_is_loaded_in_batches_and_counted_as_one() -> None:
    items = [{"sku": f"A{number}", "name": "A", "price": 100} for number in range(BATCH + 1)]
    first = httpx.Response(200, json={"created": BATCH - 1, "changed": 1, "unchanged": 0})
    http, requests = _shop(first, httpx.Response(200, json={"created": 0, "changed": 0, "unchanged": 1}))
    assert await load(http, items) == Loaded(created=BATCH - 1, changed=1, unchanged=1)
    assert [len(json.loads(one.content)["items"]) for one in requests] == [BATCH, 1]


async def test_what_the_shop_refuses_is_one_sentence() -> None:
    problem = {"title": "Unprocessable", "detail": "The request is not valid."}
    http, _ = _shop(httpx.Response(422, json=problem))
    with pytest.raises(ShopError, match=r"POST /v1/products/bulk: 422 The request is not valid\."):
        await load(http, [{"sku": ""}])


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '{"items": []}'])
def test_a_file_that_is_no_list_of_products_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ShopError):
        read(tmp_path / "file")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"none\.json: No such file"):
        read(tmp_path / "none.json")
