"""Whose turn it is."""

from collections.abc import Callable

from lab.replay.invoices import Book
from lab.replay.plan import Sale
from lab.replay.turns import Turns
from tools.lab.tests.replay.sheets import row


def _numbers(turns: Turns) -> list[str]:
    taken = []
    while step := turns.take():
        taken.append(step.invoice.number)
    return taken


def test_a_customer_does_one_thing_at_a_time_and_comes_first_once_free(book: Callable[..., Book]) -> None:
    invoices = book(row("1"), row("2"), row("3"), row("4", customer="13047")).invoices
    turns = Turns(map(Sale, invoices))

    assert _numbers(turns) == ["1", "4"]
    turns.done(invoices[0])
    assert _numbers(turns) == ["2"]


def test_guests_never_wait_for_each_other(book: Callable[..., Book]) -> None:
    invoices = book(row("1", customer=""), row("2", customer="")).invoices
    turns = Turns(map(Sale, invoices))

    assert _numbers(turns) == ["1", "2"]
    assert not turns
