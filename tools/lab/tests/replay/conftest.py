"""What the tests of a replay share: sheets to read."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lab.replay.invoices import Book
from tools.lab.tests.replay import sheets


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(row(), row(…))`: the path of a file with these rows."""
    return partial(sheets.write, tmp_path / "invoices.csv")


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Book]:
    """`book(row(), row(…))`: the invoices of such a file."""
    return partial(sheets.book, tmp_path / "invoices.csv")
