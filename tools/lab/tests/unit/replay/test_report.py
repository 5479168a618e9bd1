"""The report accounts for every invoice and for every row."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from lab.replay.catalogue import Loaded
from lab.replay.invoices import UNREADABLE
from lab.replay.plan import Skip, plan
from lab.replay.play import Outcome, Result
from lab.replay.report import Replay, document, show
from tools.lab.tests.invoice_files import ReadInvoices, row


@pytest.fixture
def replay(invoices_of: ReadInvoices) -> Callable[[Outcome], Replay]:
    """One invoice of each kind; the test chooses the first one's outcome."""
    found = invoices_of(row("1"), row("1", sku="POST"), row("C2", quantity=-1), row("", quantity=1))

    def make(outcome: Outcome) -> Replay:
        sale, note = plan(found.invoices)
        assert isinstance(note, Skip)
        results = [Result(sale, outcome, order_id="ABC"), Result(note, "skipped", note.reason, note.detail)]
        return Replay("a.csv", "run", found, Loaded(1, 0, 0, 0), 0, results, limited=0, seconds=1.5)

    return make


@pytest.mark.parametrize(
    ("outcome", "good"), [("paid", True), ("cancelled", True), ("failed", False), ("unended", False)]
)
def test_a_replay_is_good_when_nothing_failed_and_all_ended(
    outcome: Outcome, good: bool, replay: Callable[[Outcome], Replay]
) -> None:
    assert replay(outcome).all_ended is good


def test_the_document_has_every_invoice_in_the_order_of_the_file(
    replay: Callable[[Outcome], Replay],
) -> None:
    read = json.loads(json.dumps(document(replay("paid"))))

    assert [(one["invoice"], one["outcome"], one["order_id"]) for one in read["invoices"]] == [
        ("1", "paid", "ABC"),
        ("C2", "skipped", None),
    ]
    assert read["invoices"][0]["dropped_for"] == {"POST is postage, no product": 1}
    assert read["invoices"][1]["reason"] == "returns a part of a sale, and orders are cancelled whole"


def test_the_documents_totals_add_up(replay: Callable[[Outcome], Replay]) -> None:
    totals = document(replay("paid"))["totals"]

    assert totals["invoices"] == 2 == totals["paid"] + totals["skipped"]
    assert totals["rows"] == 4 == totals["rows_kept"] + sum(totals["rows_dropped"].values())
    assert totals["rows_dropped"][UNREADABLE] == 1


def test_the_text_has_outcomes_reasons_and_bad_rows(replay: Callable[[Outcome], Replay]) -> None:
    output = StringIO()

    show(Console(file=output, width=200), replay("failed"))

    assert "failed" in output.getvalue()
    assert "returns a part of a sale" in output.getvalue()
    assert "1 POST is postage, no product" in output.getvalue()
    assert "line 5: InvoiceNo is empty" in output.getvalue()
