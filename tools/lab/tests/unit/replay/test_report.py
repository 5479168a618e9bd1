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
from tools.lab.tests.invoice_files import Fields, ReadInvoices, row


@pytest.fixture
def replay(invoices_of: ReadInvoices) -> Callable[..., Replay]:
    """One invoice of each kind; the test chooses the first one's outcome, and may add rows."""

    def make(outcome: Outcome, *rows: Fields) -> Replay:
        found = invoices_of(row("1"), row("1", sku="POST"), row("C2", quantity=-1), *rows)
        sale, note, *_ = plan(found.invoices)
        assert isinstance(note, Skip)
        results = [Result(sale, outcome, order_id="ABC"), Result(note, "skipped", note.reason, note.detail)]
        return Replay("a.csv", found, Loaded(created=1), 0, results, limited=0, seconds=1.5)

    return make


@pytest.mark.parametrize(
    ("outcome", "good"),
    [("paid", True), ("cancelled", True), ("placed_before", True), ("failed", False), ("unended", False)],
)
def test_a_replay_is_good_when_nothing_failed_and_all_ended(
    outcome: Outcome, good: bool, replay: Callable[..., Replay]
) -> None:
    assert replay(outcome).succeeded is good


@pytest.mark.parametrize(
    ("more", "good"), [(row(sku="POST"), True), (row(price="0"), True), (row(quantity="six"), False)]
)
def test_a_replay_with_a_row_that_nobody_can_read_is_not_good(
    more: Fields, good: bool, replay: Callable[..., Replay]
) -> None:
    assert replay("paid", more).succeeded is good


def test_the_document_has_every_invoice_in_the_order_of_the_file(replay: Callable[..., Replay]) -> None:
    read = json.loads(json.dumps(document(replay("paid"))))

    assert [(one["invoice"], one["outcome"], one["order_id"]) for one in read["invoices"]] == [
        ("1", "paid", "ABC"),
        ("C2", "skipped", None),
    ]
    assert read["invoices"][0]["dropped_for"] == {"POST is postage, no product": 1}
    assert read["invoices"][1]["reason"] == "returns a part of a sale, and orders are cancelled whole"


def test_the_documents_totals_add_up(replay: Callable[..., Replay]) -> None:
    read = document(replay("paid", row("", quantity=1), row("1", price=0)))

    totals = read["totals"]
    assert totals["invoices"] == 2 == totals["paid"] + totals["skipped"]
    assert totals["lines"] == 6 == sum(totals["lines_by_kind"].values())
    assert totals["special"] == {"POST is postage, no product": 1}
    assert totals["refused"] == {UNREADABLE: 1, "priced 0": 1}
    assert [(one["line"], one["why"]) for one in read["refused"]] == [
        (5, "InvoiceNo is empty"),
        (6, "priced 0"),
    ]


def test_the_text_has_outcomes_reasons_and_lines(replay: Callable[..., Replay]) -> None:
    output = StringIO()

    show(Console(file=output, width=200), replay("failed", row("", quantity=1), row("1", price=0)))

    text = output.getvalue()
    assert "failed" in text
    assert "returns a part of a sale" in text
    assert "1 POST is postage, no product" in text
    assert "1 priced 0: line 6" in text
    assert "line 5: InvoiceNo is empty" in text
    assert "read as utf-8, delimiter ',', dates year-month-day" in text
