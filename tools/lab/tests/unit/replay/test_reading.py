"""Any file that a user may name is read, or its error is reported in one line."""

from datetime import date
from pathlib import Path

import pytest

from lab.replay.invoices import BadFile, BadRow, Row, read
from tools.lab.tests.invoice_files import WriteFile, row


def test_a_row_is_read_with_its_line_in_the_file(write: WriteFile) -> None:
    [found] = read(write(row(name="  WHITE   LANTERN ", price="2.55", date="3/12/2010")))

    assert found == Row(2, "536365", "85123A", "WHITE LANTERN", 6, 255, date(2010, 12, 3), customer="17850")


def test_a_row_without_a_customer_is_a_guests(write: WriteFile) -> None:
    [found] = read(write(row(customer="")))

    assert isinstance(found, Row)
    assert found.customer is None


def test_a_date_may_have_a_time(write: WriteFile) -> None:
    [found] = read(write(row(date="31/1/2011 8:26")))

    assert isinstance(found, Row)
    assert found.issued == date(2011, 1, 31)


@pytest.mark.parametrize(("price", "pence"), [("2", 200), ("0.005", 1), ("0.001", 0), ("-11.5", -1150)])
def test_prices_are_kept_in_whole_pence(price: str, pence: int, write: WriteFile) -> None:
    [found] = read(write(row(price=price)))

    assert isinstance(found, Row)
    assert found.price == pence


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (row(quantity="six"), "Quantity 'six' is no whole number"),
        (row(quantity="1.5"), "Quantity '1.5' is no whole number"),
        (row(price="free"), "UnitPrice 'free' is no amount of money"),
        (row(price="NaN"), "UnitPrice 'NaN' is no amount of money"),
        (row(price="1e30"), "UnitPrice '1e30' is no amount of money"),
        (row(date="12/31/2010"), "InvoiceDate '12/31/2010' is no day/month/year"),
        (row(customer="o'neill"), 'CustomerID "o\'neill" is no identifier'),
        (row(sku=" "), "StockCode is empty"),
    ],
)
def test_a_row_that_cannot_be_read_is_reported_and_the_next_is_read(
    wrong: dict[str, object], why: str, write: WriteFile
) -> None:
    bad, good = read(write(wrong, row()))

    assert bad == BadRow(2, "536365", why)
    assert isinstance(good, Row)


def test_a_row_without_an_invoice_belongs_to_none(write: WriteFile) -> None:
    assert read(write(row(invoice=""))) == [BadRow(2, None, "InvoiceNo is empty")]


@pytest.mark.parametrize("line", ["536365,85123A\n", "1,2,3,4,5,6,7,8,9\n"])
def test_a_row_with_too_few_or_too_many_fields_is_bad(line: str, write: WriteFile) -> None:
    path = write()
    path.write_text(path.read_text() + line)

    [found] = read(path)

    assert isinstance(found, BadRow)
    assert found.why == "it has not as many fields as the heading"


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("InvoiceNo,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID\n")

    with pytest.raises(BadFile, match=r"other\.csv lacks the columns UnitPrice, CustomerID$"):
        read(path)


def test_an_empty_file_lacks_every_column(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()

    with pytest.raises(BadFile, match="InvoiceNo"):
        read(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file or directory"):
        read(tmp_path / "none.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_a_file_in_another_encoding_is_refused(write: WriteFile) -> None:
    path = write()
    path.write_bytes(path.read_bytes() + "536365,85123A,CAFÉ,6,1/12/2010,2.55,17850,EIRE\n".encode("cp1252"))

    with pytest.raises(BadFile, match="save it as CSV in UTF-8"):
        read(path)


def test_a_description_becomes_a_name_of_one_line(write: WriteFile) -> None:
    [found] = read(write(row(name="WHITE\u202eHEART\x07 LAMP\u200b")))

    assert isinstance(found, Row)
    assert found.name == "WHITEHEART LAMP"
