"""Every row of a file ends in one place: it counts, or it is dropped with its reason."""

import pytest

from lab.replay.invoices import UNREADABLE
from tools.lab.tests.invoice_files import Fields, ReadInvoices, row


def test_rows_of_one_product_are_merged(invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(quantity=6), row(sku="71053"), row(quantity=4)).invoices

    assert invoice.pieces == {"85123A": 10, "71053": 6}


def test_an_invoice_may_be_scattered_over_the_file(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row("1"), row("2"), row("1", sku="71053")).invoices

    assert [(invoice.number, len(invoice.rows)) for invoice in found] == [("1", 2), ("2", 1)]


@pytest.mark.parametrize(
    ("dropped", "why"),
    [
        (row(sku="POST"), "POST is postage, no product"),
        (row(sku="m"), "m is a manual entry, no product"),
        (row(sku="BANK CHARGES"), "BANK CHARGES is a fee of the bank, no product"),
        (row(sku="C2"), "C2 is carriage, no product"),
        (row(sku="ADJUST2"), "ADJUST2 is an adjustment by hand, no product"),
        (row(sku="gift_0001_20"), "gift_0001_20 is a gift voucher, no product"),
        (row(sku="TEST001"), "TEST001 is a test, no product"),
        (row(sku="85123 A"), "the catalogue takes no such stock code"),
        (row(quantity=-10, price="0"), "a write-off (pieces below 0)"),
        (row(quantity=0), "no pieces"),
        (row(price="0"), "priced 0"),
        (row(price="0.004"), "priced 0"),
        (row(price="1000000"), "the catalogue takes no such price"),
    ],
)
def test_what_no_shop_could_sell_is_dropped(
    dropped: dict[str, object], why: str, invoices_of: ReadInvoices
) -> None:
    [invoice] = invoices_of(dropped, row(sku="71053")).invoices

    assert invoice.dropped == {why: 1}
    assert invoice.pieces == {"71053": 6}


def test_a_credit_note_takes_back_what_is_below_zero(invoices_of: ReadInvoices) -> None:
    [note] = invoices_of(row("C1", quantity=-6), row("C1", sku="71053", quantity=2)).invoices

    assert note.is_credit_note
    assert note.pieces == {"85123A": 6}
    assert note.dropped == {"a credit note that gives out": 1}


def test_a_bad_row_is_dropped_from_its_invoice_and_named(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(quantity="six"), row(sku="71053"))

    [invoice] = found.invoices
    assert invoice.dropped == {UNREADABLE: 1}
    assert [(bad.line, bad.invoice) for bad in found.unreadable] == [(2, "536365")]


def test_an_invoice_of_bad_rows_alone_is_still_an_invoice(invoices_of: ReadInvoices) -> None:
    invoice, _ = invoices_of(row(quantity="six"), row("2")).invoices

    assert (invoice.number, invoice.rows, invoice.customer) == ("536365", [], None)


def test_a_row_of_another_customer_is_bad(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(customer="17850"), row(customer="13047"), row(customer=""))

    [invoice] = found.invoices
    assert (invoice.customer, len(invoice.rows)) == ("17850", 1)
    assert [bad.line for bad in found.unreadable] == [3, 4]


def test_every_row_is_accounted_for(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(), row(quantity="six"), row(invoice=""), row(sku="POST"), row(customer=""))

    [invoice] = found.invoices
    nowhere = sum(bad.invoice is None for bad in found.refused)
    assert len(invoice.rows) + invoice.dropped.total() + nowhere == 5
    assert found.lines == {"invoice": 1, "special": 1, "refused": 3, "heading": 1, "empty": 0}


def test_what_is_no_product_is_no_refusal(invoices_of: ReadInvoices) -> None:
    found = invoices_of(row(sku="POST"), row(sku="gift_0001_20"), row(sku="GIFTBOX"))

    assert (found.special.total(), found.refused) == (2, [])
    assert found.invoices[0].pieces == {"GIFTBOX": 6}


def test_a_fingerprint_is_what_is_ordered_by_whom(invoices_of: ReadInvoices) -> None:
    def fingerprint(*rows: Fields) -> str:
        return invoices_of(*rows).invoices[0].fingerprint

    one = fingerprint(row("1"), row("1", sku="71053"))
    same = fingerprint(row("1", sku="71053", price="3", date="2011-01-01"), row("1", quantity="6.0"))
    assert one == same
    for other in (row("2"), row("1", quantity=7), row("1", customer="")):
        assert fingerprint(other, {**other, "StockCode": "71053"}) != one
