"""The first days of the Online Retail data set, where they lie beside the project: nothing in it is lost.

UCI Machine Learning Repository, doi:10.24432/C5BW33, CC BY 4.0.
"""

from collections import Counter
from pathlib import Path

import pytest

from lab.replay.invoices import NOT_GOODS, Book, gather
from lab.replay.plan import Sale, plan
from lab.replay.reading import Row, read

FOLDER = Path(__file__).parents[5] / "shared" / "data" / "online-retail"
FILE = FOLDER / "invoices-2010-12-01-to-05.csv"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the data set is not beside this clone")


@pytest.fixture(scope="module")
def real() -> Book:
    return gather(read(FILE))


def test_it_is_read_whole(real: Book) -> None:
    invoices = real.invoices
    assert (real.rows, len(invoices), real.bad_rows) == (9999, 512, [])
    assert sum(invoice.is_credit_note for invoice in invoices) == 43
    assert sum(invoice.customer is None for invoice in invoices) == 68
    assert real.rows == sum(len(invoice.rows) + invoice.dropped.total() for invoice in invoices)


def test_its_dirt_is_found() -> None:
    rows = [row for row in read(FILE) if isinstance(row, Row)]

    assert len({row.sku for row in rows}) == 2015
    assert sum(row.quantity < 0 for row in rows) == 130
    assert sum(row.price == 0 for row in rows) == 46
    assert sum(row.sku in NOT_GOODS for row in rows) == 38


def test_what_is_dropped_is_what_it_is_known_for(real: Book) -> None:
    dropped = sum((invoice.dropped for invoice in real.invoices), Counter[str]())

    no_products = sum(count for why, count in dropped.items() if "no product" in why)
    assert no_products == 38
    assert dropped["a write-off (pieces below 0)"] == 30
    assert dropped["priced 0"] == 16
    assert dropped.total() == 38 + 30 + 16


def test_every_invoice_has_its_step(real: Book) -> None:
    steps = plan(real.invoices)

    assert [step.invoice.number for step in steps] == [invoice.number for invoice in real.invoices]
    assert sum(isinstance(step, Sale) for step in steps) == 423


def test_the_largest_are_in_it(real: Book) -> None:
    rows = sorted((len(invoice.rows) + invoice.dropped.total() for invoice in real.invoices), reverse=True)
    assert rows[:3] == [593, 592, 527]
    assert max(max(invoice.pieces.values()) for invoice in real.invoices if invoice.rows) == 9360
