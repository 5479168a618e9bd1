"""What each invoice becomes."""

from collections.abc import Callable

from lab.replay.invoices import Book
from lab.replay.plan import Return, Sale, Skip, Step, plan
from tools.lab.tests.replay.sheets import row


def steps(book: Book) -> list[Step]:
    return plan(book.invoices)


def test_an_invoice_is_checked_out(book: Callable[..., Book]) -> None:
    found = book(row("1"), row("2", customer=""))

    assert steps(found) == [Sale(found.invoices[0]), Sale(found.invoices[1])]


def test_an_invoice_with_no_line_left_is_skipped_and_why(book: Callable[..., Book]) -> None:
    found = book(row(sku="POST"), row(quantity=-1))

    reasons = "POST is postage, no product; a write-off (pieces below 0)"
    assert steps(found) == [Skip(found.invoices[0], "no line is left to play", reasons)]


def test_a_credit_note_over_a_whole_sale_cancels_its_order(book: Callable[..., Book]) -> None:
    found = book(row("1", quantity=4), row("1", quantity=2), row("1", sku="POST"), row("C2", quantity=-6))

    assert steps(found)[1] == Return(found.invoices[1], "1")


def test_a_credit_note_over_a_part_of_a_sale_cannot_be_played(book: Callable[..., Book]) -> None:
    found = book(row("1"), row("1", sku="71053"), row("C2", quantity=-6))

    reason = "returns a part of a sale, and orders are cancelled whole"
    assert steps(found)[1] == Skip(found.invoices[1], reason, "1")


def test_what_was_never_sold_here_cannot_be_returned(book: Callable[..., Book]) -> None:
    too_many, anothers, later = (
        book(row("1"), row("C2", quantity=-7)),
        book(row("1"), row("C2", quantity=-6, customer="13047")),
        book(row("C2", quantity=-6), row("1")),
    )

    for found, at in ((too_many, 1), (anothers, 1), (later, 0)):
        assert steps(found)[at] == Skip(found.invoices[at], "returns what no sale in this file explains")


def test_a_guests_return_cannot_be_told_from_anothers(book: Callable[..., Book]) -> None:
    found = book(row("1", customer=""), row("C2", quantity=-6, customer=""))

    assert steps(found)[1] == Skip(found.invoices[1], "returns a guest's purchase, nobody knows which")


def test_of_two_sales_alike_each_is_returned_once_the_later_first(book: Callable[..., Book]) -> None:
    found = book(row("1"), row("2"), *(row(f"C{n}", quantity=-6) for n in (3, 4, 5)))

    _, _, *notes = steps(found)

    assert [note.sale for note in notes if isinstance(note, Return)] == ["2", "1"]
    assert isinstance(notes[2], Skip)
