"""The first days of the Online Retail data set, where they lie beside the project: nothing in it is lost.

UCI Machine Learning Repository, doi:10.24432/C5BW33, CC BY 4.0.
"""

from pathlib import Path

import pytest

from lab.replay.columns import Dates
from lab.replay.invoices import InvoiceFile
from lab.replay.plan import Sale, plan
from lab.replay.reading import read_file

FOLDER = Path(__file__).parents[6] / "shared" / "data" / "online-retail"
FILE = FOLDER / "invoices-2010-12-01-to-05.csv"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data set is not beside this clone")


@pytest.fixture(scope="module")
def real() -> InvoiceFile:
    return read_file(FILE)


def test_every_row_and_invoice_is_read(real: InvoiceFile) -> None:
    invoices = real.invoices
    assert (real.lines.total(), len(invoices), real.unreadable) == (10_000, 512, [])
    assert sum(invoice.is_credit_note for invoice in invoices) == 43
    assert sum(invoice.customer is None for invoice in invoices) == 68
    assert sum(len(invoice.rows) + invoice.dropped.total() for invoice in invoices) == 9999
    assert real.written.dates is Dates.DMY


def test_every_line_is_of_one_kind(real: InvoiceFile) -> None:
    assert real.lines == {
        "invoice": 9817,
        "credit_note": 98,
        "special": 38,
        "refused": 46,
        "heading": 1,
        "empty": 0,
    }
    assert len({row.sku for invoice in real.invoices for row in invoice.rows}) == 1967
    assert real.respelt == 31
    assert real.special.total() == 38
    assert sum(row.why == "a write-off (pieces below 0)" for row in real.refused) == 30
    assert sum(row.why == "priced 0" for row in real.refused) == 16


def test_every_invoice_has_its_step(real: InvoiceFile) -> None:
    steps = plan(real.invoices)

    assert [step.invoice.number for step in steps] == [invoice.number for invoice in real.invoices]
    assert sum(isinstance(step, Sale) for step in steps) == 423


def test_the_largest_invoices_are_in_it(real: InvoiceFile) -> None:
    rows = sorted((len(invoice.rows) + invoice.dropped.total() for invoice in real.invoices), reverse=True)
    assert rows[:3] == [593, 592, 527]
    assert max(max(invoice.pieces.values()) for invoice in real.invoices if invoice.rows) == 9360
