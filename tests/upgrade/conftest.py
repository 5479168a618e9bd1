from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrade.released import Release, unpacked


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests of all come first, so that the others run beside them."""
    items.sort(key=lambda item: Path(__file__).parent not in item.path.parents)


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    with unpacked() as tree:
        yield Release(tree)
