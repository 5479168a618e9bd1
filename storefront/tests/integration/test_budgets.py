"""What a page may weigh, compressed as it is sent, in bytes."""

import gzip
from pathlib import Path

import pytest

from storefront.templates import ASSETS

from ..conftest import MUG, Browser, FakeApi

STYLE_SHEET, SCRIPT, PAGE = 20_000, 30_000, 30_000


@pytest.mark.parametrize(("files", "most"), [("*.css", STYLE_SHEET), ("*.js", SCRIPT)])
def test_style_sheets_and_scripts_are_small(files: str, most: int) -> None:
    assert 0 < sum(len(gzip.compress(Path(file).read_bytes())) for file in ASSETS.glob(files)) <= most


@pytest.mark.parametrize("path", ["/", "/search", "/p/MUG-1"])
async def test_a_full_page_is_small(browser: Browser, api: FakeApi, path: str) -> None:
    items = [{**MUG, "sku": f"MUG-{number}", "name": f"Mug {number} " + "blue " * 20} for number in range(24)]
    api.answer("GET /v1/products", {"items": items, "next": "/v1/products?cursor=c", "corrected": {}})
    response = await browser.get(path, Accept_Encoding="gzip")
    assert response.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(response.content)) <= PAGE
