"""The first days of the Online Retail data set, where they lie beside the project: nothing in it is lost.

UCI Machine Learning Repository, doi:10.24432/C5BW33, CC BY 4.0.
"""

from collections import Counter
from pathlib import Path

import pytest

from lab.replay.invoices import NOT_GOODS, InvoiceFile, Row, gather, read
from lab.replay.plan import Sale, plan

FOLDER = Path(__file__).parents[6] / "shared" / "data" / "online-retail"
FILE = FOLDER / "invoices-2010-12-01-to-05.csv"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data set is not beside this clone")


@pytest.fixture(scope="module")
def real() -> InvoiceFile:
    return gather(read(FILE))


def test_every_row_and_invoice_is_read(real: InvoiceFile) -> None:
    invoices = real.invoices
    assert (real.rows, len(invoices), real.bad_rows) == (9999, 512, [])
    assert sum(invoice.is_credit_note for invoice in invoices) == 43
    assert sum(invoice.customer is None for invoice in invoices) == 68
    assert real.rows == sum(len(invoice.rows) + invoice.dropped.total() for invoice in invoices)


def test_unusual_rows_are_kept_as_they_are() -> None:
    rows = [row for row in read(FILE) if isinstance(row, Row)]

    assert len({row.sku for row in rows}) == 2015
    assert sum(row.quantity < 0 for row in rows) == 130
    assert sum(row.price == 0 for row in rows) == 46
    assert sum(row.sku in NOT_GOODS for row in rows) == 38


def test_the_reasons_for_dropped_rows_are_counted(real: InvoiceFile) -> None:
    dropped = sum((invoice.dropped for invoice in real.invoices), Counter[str]())

    no_products = sum(count for why, count in dropped.items() if "no product" in why)
    assert no_products == 38
    assert dropped["a write-off (pieces below 0)"] == 30
    assert dropped["priced 0"] == 16
    assert dropped.total() == 38 + 30 + 16


def test_every_invoice_has_its_step(real: InvoiceFile) -> None:
    steps = plan(real.invoices)

    assert [step.invoice.number for step in steps] == [invoice.number for invoice in real.invoices]
    assert sum(isinstance(step, Sale) for step in steps) == 423


def test_the_largest_invoices_are_in_it(real: InvoiceFile) -> None:
    rows = sorted((len(invoice.rows) + invoice.dropped.total() for invoice in real.invoices), reverse=True)
    assert rows[:3] == [593, 592, 527]
    assert max(max(invoice.pieces.values()) for invoice in real.invoices if invoice.rows) == 9360
