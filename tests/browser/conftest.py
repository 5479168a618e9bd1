from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from devstack import Stack
from shop.catalogue.loading import load, read
from shop.http import admin_client
from tests.browser.chromium import started
from tests.browser.visitor import Look, Visitor, arrival

NewVisitor = Callable[[Look], Awaitable[Visitor]]
_HERE = Path(__file__).parent
_CATALOGUE = _HERE.parents[1] / "storefront" / "catalogue.json"
_SHORT = "test_buying.py"
_FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser, and so one event loop, for all tests here. All but the short ones are thorough."""
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(180))
            if item.path.name != _SHORT:
                item.add_marker(pytest.mark.thorough)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with started() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(stack: Stack) -> Stack:
    """The running shop with the demo catalogue."""
    async with admin_client(stack) as admin:
        await load(admin, read(_CATALOGUE))
    return stack


@pytest_asyncio.fixture(loop_scope="session")
async def new_visitor(
    chromium: Browser, shop: Stack, request: pytest.FixtureRequest
) -> AsyncIterator[NewVisitor]:
    """`await new_visitor(Look(phone=True))`: somebody with a fresh browser. A fault of a page fails the
    test at its end. Where a test fails, pictures of its pages are in `.local/browser/failed-…`."""
    visitors: list[Visitor] = []
    async with AsyncExitStack() as leaving:

        async def arrive(look: Look = Look()) -> Visitor:  # noqa: B008 frozen
            visitors.append(await leaving.enter_async_context(arrival(chromium, shop, look)))
            return visitors[-1]

        yield arrive
        if request.node.stash.get(_FAILED, False):
            for number, visitor in enumerate(visitors):
                await visitor.picture(f"failed-{request.node.name.replace('/', '-')}-{number}")
    assert [fault for visitor in visitors for fault in visitor.faults] == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(new_visitor: NewVisitor) -> Visitor:
    """Somebody at a desk, who reads English."""
    return await new_visitor(Look())
