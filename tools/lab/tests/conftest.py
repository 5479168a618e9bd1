"""What the tests of a replay share: small CSV files of invoices."""

from functools import partial
from pathlib import Path

import pytest

from tools.lab.tests import invoice_files
from tools.lab.tests.invoice_files import ReadInvoices, WriteFile


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """`write(row(), row(…))`: the path of a file with these rows."""
    return partial(invoice_files.write, tmp_path / "invoices.csv")


@pytest.fixture
def invoices_of(tmp_path: Path) -> ReadInvoices:
    """`invoices_of(row(), row(…))`: the invoices of such a file."""
    return partial(invoice_files.invoice_file, tmp_path / "invoices.csv")
