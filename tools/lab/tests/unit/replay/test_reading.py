"""Any file that a user may name is read, or its error is reported in one line."""

from datetime import date
from pathlib import Path

import pytest

from lab.replay.invoices import Refused, Row
from lab.replay.reading import BadFile, read_file
from tools.lab.tests.invoice_files import ReadInvoices, WriteFile, row


def test_a_row_is_read_with_its_line_in_the_file(invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(name="  WHITE   LANTERN ", price="2.55", date="31/12/2010")).invoices

    assert invoice.rows == [
        Row(2, "536365", "85123A", "WHITE LANTERN", 6, 255, date(2010, 12, 31), customer="17850")
    ]


def test_a_row_without_a_customer_is_a_guests(invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(customer="")).invoices

    assert invoice.customer is None


def test_a_date_may_have_a_time(invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(date="31/1/2011 8:26")).invoices

    assert invoice.issued == date(2011, 1, 31)


@pytest.mark.parametrize(("price", "pence"), [("2", 200), ("0.005", 1), ("2,550.5", 255_050)])
def test_prices_are_kept_in_whole_pence(price: str, pence: int, invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(price=price)).invoices

    assert [one.price for one in invoice.rows] == [pence]


@pytest.mark.parametrize("price", ["0.001", "-11.5"])
def test_a_row_without_a_price_is_read_and_not_sold(price: str, invoices_of: ReadInvoices) -> None:
    file = invoices_of(row(price=price))

    assert file.refused == [Refused(2, "536365", "priced 0", readable=True)]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (row(quantity="six"), "Quantity 'six' is no whole number"),
        (row(quantity="1.5"), "Quantity '1.5' is no whole number"),
        (row(price="free"), "UnitPrice 'free' is no amount of money"),
        (row(price="NaN"), "UnitPrice 'NaN' is no amount of money"),
        (row(price="1e30"), "UnitPrice '1e30' is no amount of money"),
        (row(price="1e-2"), "UnitPrice '1e-2' is no amount of money"),
        (
            row(date="31/31/2010"),
            "InvoiceDate '31/31/2010' is no date in the form day/month/year",
        ),
        (row(customer="o'neill"), 'CustomerID "o\'neill" is no identifier'),
        (row(sku=" "), "StockCode is empty"),
    ],
)
def test_a_row_that_cannot_be_read_is_reported_and_the_next_is_read(
    wrong: dict[str, object], why: str, invoices_of: ReadInvoices
) -> None:
    file = invoices_of(wrong, row())

    assert file.refused == [Refused(2, "536365", why)]
    assert file.lines["invoice"] == 1


def test_a_row_without_an_invoice_belongs_to_none(invoices_of: ReadInvoices) -> None:
    assert invoices_of(row(invoice=""), row()).refused == [Refused(2, None, "InvoiceNo is empty")]


@pytest.mark.parametrize("line", ["536365,85123A\n", "1,2,3,4,5,6,7,8,9\n"])
def test_a_row_with_too_few_or_too_many_fields_is_bad(line: str, write: WriteFile) -> None:
    path = write(row())
    path.write_text(path.read_text() + line)

    [refused] = read_file(path).unreadable

    assert refused.why == "it has not as many fields as the heading"


def test_empty_fields_at_the_end_and_empty_rows_do_no_harm(write: WriteFile) -> None:
    path = write(row())
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["", lines[0], f"{lines[1]},,,", ",,,,,,,", ""]))

    file = read_file(path)

    assert file.lines == {"empty": 2, "heading": 1, "invoice": 1}


def test_missing_columns_are_named_and_those_that_are_expected(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,Cost,Customer\n")

    with pytest.raises(BadFile, match=r"other\.csv lacks the columns UnitPrice, CustomerID: expected CSV"):
        read_file(path)


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Price\n")

    with pytest.raises(BadFile, match=r"twice\.csv has the column UnitPrice twice"):
        read_file(path)


def test_an_empty_file_lacks_every_column(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()

    with pytest.raises(BadFile, match="is empty: expected CSV with the columns InvoiceNo"):
        read_file(path)


@pytest.mark.parametrize(
    ("rows", "found"),
    [((), "there is only a heading"), ((row(quantity="six"),), "line 2: Quantity 'six' is no whole number")],
)
def test_a_file_without_a_row_that_can_be_read_is_refused(
    rows: tuple[dict[str, object], ...], found: str, write: WriteFile
) -> None:
    with pytest.raises(BadFile, match="has no row that can be read") as raised:
        read_file(write(*rows))
    assert found in str(raised.value)


def test_a_file_with_nothing_that_is_sold_is_read(invoices_of: ReadInvoices) -> None:
    assert invoices_of(row(sku="POST"), row(price="0")).invoices[0].rows == []


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file or directory"):
        read_file(tmp_path / "none.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        read_file(tmp_path)


def test_half_a_character_of_utf_16_is_no_text(write: WriteFile) -> None:
    path = write()
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode("utf-16")[:-1])

    with pytest.raises(BadFile, match="is no text: it begins as UTF-16-LE and is not"):
        read_file(path)


def test_a_description_becomes_a_name_of_one_line(invoices_of: ReadInvoices) -> None:
    [invoice] = invoices_of(row(name="WHITE\u202eHEART\x07 LAMP\u200b")).invoices

    assert invoice.rows[0].name == "WHITEHEART LAMP"
