"""Exploring takes seconds on a fast machine, and minutes on a slow one that does other work beside it.
The limit is for what hangs."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test of this folder ten minutes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))
