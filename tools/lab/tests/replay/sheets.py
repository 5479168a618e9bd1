"""Small sheets in the columns of the data set, written as a spreadsheet would: with a byte-order mark."""

import csv
from pathlib import Path

from lab.replay.invoices import Book, gather
from lab.replay.reading import COLUMNS, read

Fields = dict[str, object]


def row(invoice: str = "536365", sku: str = "85123A", quantity: object = 6, **more: object) -> Fields:
    """One sound row; `name`, `price`, `customer` and `date` may be given, too."""
    return {
        "InvoiceNo": invoice,
        "StockCode": sku,
        "Description": more.get("name", "WHITE LANTERN"),
        "Quantity": quantity,
        "InvoiceDate": more.get("date", "1/12/2010"),
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


def book(path: Path, *rows: Fields) -> Book:
    """The invoices of a file with these rows."""
    return gather(read(write(path, *rows)))
