"""Every page, on a phone and at a desk, in both themes and languages, is accessible and small."""

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from tests.browser.conftest import NewVisitor
from tests.browser.visitor import Look
from tests.browser.walk import pages

KB = 1024
MOST_BYTES = {"html": 30 * KB, "css": 20 * KB, "js": 30 * KB}  # of a page, compressed
LOOKS = [Look(), Look(dark=True, language="de"), Look(phone=True, language="de"), Look(phone=True, dark=True)]
_RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}  # all that there are
_SIZES = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
    .map(({ entryType, name, encodedBodySize }) => [
        entryType === "navigation" ? "html" : new URL(name).pathname.split(".").pop(), encodedBodySize])"""


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.timeout(400)
async def test_every_page_is_accessible_and_within_its_budget(new_visitor: NewVisitor, look: Look) -> None:
    visitor = await new_visitor(look)
    found = []
    async for name in pages(visitor):
        await visitor.picture(name)
        found += [
            f"{name}: {one}" for one in [*await _over_budget(visitor.page), *await _barriers(visitor.page)]
        ]
    assert found == []


async def _over_budget(page: Page) -> list[str]:
    bytes_of: dict[str, int] = dict.fromkeys(MOST_BYTES, 0)
    for kind, size in await page.evaluate(_SIZES):
        bytes_of[kind] = bytes_of.get(kind, 0) + size
    assert bytes_of["html"], "the size of the page is not known"
    assert bytes_of["css"], "the size of the style sheet is not known"
    return [f"{bytes_of[kind]} bytes of {kind}" for kind, most in MOST_BYTES.items() if bytes_of[kind] > most]


async def _barriers(page: Page) -> list[str]:
    """What axe finds."""
    results: dict[str, Any] = (await Axe().run(page, options=_RULES)).response
    return [
        f"{rule['id']}: {', '.join(str(node['target']) for node in rule['nodes'])}"
        for rule in results["violations"]
    ]
