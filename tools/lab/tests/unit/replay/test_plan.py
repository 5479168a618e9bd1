"""What each invoice becomes, and which step may be played next."""

from lab.replay.invoices import InvoiceFile
from lab.replay.plan import Order, Placed, Return, Sale, Skip, Step, StepQueue, plan, resumed
from tools.lab.tests.invoice_files import ReadInvoices, row


def steps(file: InvoiceFile) -> list[Step]:
    return plan(file.invoices)


def test_an_invoice_is_checked_out(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row("1"), row("2", customer=""))

    assert steps(found) == [Sale(found.invoices[0]), Sale(found.invoices[1])]


def test_an_invoice_with_no_line_left_is_skipped_with_the_reasons(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(sku="POST"), row(quantity=-1))

    reasons = "POST is postage, no product; a write-off (pieces below 0)"
    assert steps(found) == [Skip(found.invoices[0], "no line is left to play", reasons)]


def test_an_invoice_with_a_row_that_cannot_be_read_is_left_until_it_can(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(), row(sku="71053", quantity="six"), row("2"))

    reason = "a row of it cannot be read"
    assert steps(found) == [Skip(found.invoices[0], reason), Sale(found.invoices[1])]


def test_a_credit_note_over_a_whole_sale_cancels_its_order(invoices_of: ReadInvoices) -> None:
    found = invoices_of(
        row("1", quantity=4), row("1", quantity=2), row("1", sku="POST"), row("C2", quantity=-6)
    )

    assert steps(found)[1] == Return(found.invoices[1], "1")


def test_a_credit_note_over_a_part_of_a_sale_cannot_be_played(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row("1"), row("1", sku="71053"), row("C2", quantity=-6))

    reason = "returns a part of a sale, and orders are cancelled whole"
    assert steps(found)[1] == Skip(found.invoices[1], reason, "1")


def test_what_was_never_sold_here_cannot_be_returned(invoices_of: ReadInvoices) -> None:
    too_many, anothers, later = (
        invoices_of(row("1"), row("C2", quantity=-7)),
        invoices_of(row("1"), row("C2", quantity=-6, customer="13047")),
        invoices_of(row("C2", quantity=-6), row("1")),
    )

    for found, at in ((too_many, 1), (anothers, 1), (later, 0)):
        assert steps(found)[at] == Skip(found.invoices[at], "returns what no sale in this file explains")


def test_a_guests_return_cannot_be_told_from_anothers(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row("1", customer=""), row("C2", quantity=-6, customer=""))

    assert steps(found)[1] == Skip(found.invoices[1], "returns a guest's purchase, nobody knows which")


def test_two_equal_sales_are_returned_once_each_the_later_first(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row("1"), row("2"), *(row(f"C{n}", quantity=-6) for n in (3, 4, 5)))

    _, _, *notes = steps(found)

    assert [note.sale for note in notes if isinstance(note, Return)] == ["2", "1"]
    assert isinstance(notes[2], Skip)


def test_what_an_earlier_replay_has_placed_is_not_sold_again(invoices_of: ReadInvoices) -> None:
    found = steps(invoices_of(row("1"), row("2", customer="")))
    order = Order("ABC", "paid", was_paid=True)

    assert resumed(found, {"1": order}) == [Placed(found[0].invoice, order), found[1]]


def test_a_return_is_left_to_play_until_its_order_is_cancelled(invoices_of: ReadInvoices) -> None:
    sale, note = steps(invoices_of(row("1"), row("C2", quantity=-6)))
    paid, returned = Order("ABC", "paid", was_paid=True), Order("ABC", "cancelled", was_paid=True)
    out_of_stock = Order("ABC", "cancelled", was_paid=False)

    assert resumed([sale, note], {"1": paid})[1] == note
    assert resumed([sale, note], {"1": returned})[1] == Placed(note.invoice, returned)
    assert resumed([sale, note], {"1": out_of_stock})[1] == note


def _numbers(queue: StepQueue) -> list[str]:
    taken = []
    while step := queue.take():
        taken.append(step.invoice.number)
    return taken


def test_a_customers_steps_are_given_out_one_at_a_time(
    invoices_of: ReadInvoices,
) -> None:
    invoices = invoices_of(row("1"), row("2"), row("3"), row("4", customer="13047")).invoices
    queue = StepQueue(map(Sale, invoices))

    assert _numbers(queue) == ["1", "4"]
    queue.done(invoices[0])
    assert _numbers(queue) == ["2"]


def test_guests_never_wait_for_each_other(invoices_of: ReadInvoices) -> None:
    invoices = invoices_of(row("1", customer=""), row("2", customer="")).invoices
    queue = StepQueue(map(Sale, invoices))

    assert _numbers(queue) == ["1", "2"]
    assert not queue
