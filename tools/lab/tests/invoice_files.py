"""Small CSV files in the columns of the data set, written as a spreadsheet does: with a byte-order mark."""

import csv
from pathlib import Path
from typing import Protocol

from lab.replay.columns import COLUMNS
from lab.replay.invoices import InvoiceFile
from lab.replay.reading import read_file

Fields = dict[str, object]


class WriteFile(Protocol):
    def __call__(self, *rows: Fields) -> Path: ...


class ReadInvoices(Protocol):
    def __call__(self, *rows: Fields) -> InvoiceFile: ...


def row(invoice: str = "536365", sku: str = "85123A", quantity: object = 6, **more: object) -> Fields:
    """One valid row; `name`, `price`, `customer` and `date` may be given, too."""
    return {
        "InvoiceNo": invoice,
        "StockCode": sku,
        "Description": more.get("name", "WHITE LANTERN"),
        "Quantity": quantity,
        "InvoiceDate": more.get("date", "2010-12-01"),
        "UnitPrice": more.get("price", "2.55"),
        "CustomerID": more.get("customer", "17850"),
        "Country": "United Kingdom",
    }


def write(path: Path, *rows: Fields) -> Path:
    """A file with these rows under the heading, which is line 1."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "Country"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def invoice_file(path: Path, *rows: Fields) -> InvoiceFile:
    """The invoices of a file with these rows."""
    return read_file(write(path, *rows))
