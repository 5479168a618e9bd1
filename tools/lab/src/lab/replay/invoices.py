"""A CSV file in the columns of the Online Retail data set, read row by row and gathered into invoices.

What cannot be read or could not be sold is dropped, each row with its reason.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO

from contracts import cleaned
from shop.errors import ShopError

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
_DATES = ("%d/%m/%Y", "%d/%m/%Y %H:%M")
_CUSTOMER = re.compile(r"(?=.{1,40}$)[a-z0-9]+([._-][a-z0-9]+)*")
_MOST = 10**9  # more pieces or pence than that are a slip, not a sale
_HIGHEST_PRICE = 99_999_999  # pence, in the catalogue
_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
NOT_GOODS = {
    "AMAZONFEE": "a marketplace's fee",
    "B": "bad debt",
    "BANK CHARGES": "a fee of the bank",
    "C2": "carriage",
    "CRUK": "a charity's share",
    "D": "a discount",
    "DOT": "postage",
    "M": "a manual entry",
    "POST": "postage",
    "S": "samples",
}
UNREADABLE = "the row cannot be read"


class BadFile(ShopError):
    """The file cannot be replayed."""

    exit_code = 2


@dataclass(frozen=True)
class Row:
    """One line of an invoice. `line` is its number in the file, `price` is in minor units."""

    line: int
    invoice: str
    sku: str
    name: str
    quantity: int
    price: int
    issued: date
    customer: str | None


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read; `invoice` if at least that could be."""

    line: int
    invoice: str | None
    why: str


class _Unreadable(ValueError):
    """What is wrong with a row."""


@dataclass
class Invoice:
    """The rows of an invoice that count, and how many were dropped by reason. A guest's has no customer."""

    number: str
    customer: str | None = None
    issued: date | None = None
    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def is_credit_note(self) -> bool:
        return self.number.upper().startswith("C")

    @property
    def pieces(self) -> dict[str, int]:
        """By sku, summed over its rows; what a credit note takes back is positive, too."""
        pieces: Counter[str] = Counter()
        for row in self.rows:
            pieces[row.sku] += abs(row.quantity)
        return dict(pieces)


@dataclass
class InvoiceFile:
    """All invoices of a file in the sequence of their first rows, and the rows that could not be read."""

    invoices: list[Invoice]
    bad_rows: list[BadRow]
    rows: int


def read(path: Path) -> list[Row | BadRow]:
    """Every row of the file in its order; blank lines are none. Raises BadFile."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(path, file))
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text: save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise BadFile(f"{path} is no CSV file: {error}") from error


def _rows(path: Path, file: TextIO) -> Iterator[Row | BadRow]:
    reader = csv.DictReader(file)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadFile(f"{path} lacks the column{'s'[: len(missing) > 1]} {', '.join(missing)}")
    for fields in reader:
        try:
            yield _row(reader.line_num, fields)
        except _Unreadable as error:
            number = (fields["InvoiceNo"] or "").strip()
            yield BadRow(reader.line_num, number or None, str(error))


def _row(line: int, fields: Mapping[str | None, str | None]) -> Row:
    if None in fields or None in fields.values():
        raise _Unreadable("it has not as many fields as the heading")
    text = {name: (fields[name] or "").strip() for name in COLUMNS}
    for name in ("InvoiceNo", "StockCode"):
        if not text[name]:
            raise _Unreadable(f"{name} is empty")
    return Row(
        line,
        text["InvoiceNo"],
        text["StockCode"],
        cleaned(" ".join(text["Description"].split())),
        _quantity(text["Quantity"]),
        _pence(text["UnitPrice"]),
        _date(text["InvoiceDate"]),
        _customer(text["CustomerID"].lower()),
    )


def _quantity(text: str) -> int:
    if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) is None:
        raise _Unreadable(f"Quantity {text!r} is no whole number")
    return int(text)


def _pence(text: str) -> int:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise _Unreadable(f"UnitPrice {text!r} is no amount of money") from None
    if not price.is_finite() or abs(price) > _MOST:
        raise _Unreadable(f"UnitPrice {text!r} is no amount of money")
    return int((price * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _date(text: str) -> date:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise _Unreadable(f"InvoiceDate {text!r} is no day/month/year")


def _customer(text: str) -> str | None:
    if text and _CUSTOMER.fullmatch(text) is None:
        raise _Unreadable(f"CustomerID {text!r} is no identifier")
    return text or None


def gather(rows: Iterable[Row | BadRow]) -> InvoiceFile:
    """Every row ends in exactly one place: in its invoice, dropped from it, or among the bad rows."""
    invoices: dict[str, Invoice] = {}
    bad: list[BadRow] = []
    count = 0
    for row in rows:
        count += 1
        if row.invoice is not None:
            invoice = invoices.setdefault(row.invoice, Invoice(row.invoice))
            row = _checked_customer(row, invoice)
            reason = UNREADABLE if isinstance(row, BadRow) else _unsellable(row, invoice.is_credit_note)
            if reason is not None:
                invoice.dropped[reason] += 1
            elif isinstance(row, Row):
                invoice.rows.append(row)
        if isinstance(row, BadRow):
            bad.append(row)
    return InvoiceFile(list(invoices.values()), bad, count)


def _checked_customer(row: Row | BadRow, invoice: Invoice) -> Row | BadRow:
    """The first row that can be read decides whose invoice it is."""
    if isinstance(row, BadRow):
        return row
    if invoice.issued is None:
        invoice.issued, invoice.customer = row.issued, row.customer
    if row.customer != invoice.customer:
        return BadRow(row.line, row.invoice, "CustomerID is not that of the invoice's rows before it")
    return row


def _unsellable(row: Row, is_credit_note: bool) -> str | None:
    if row.sku.upper() in NOT_GOODS:
        return f"{row.sku} is {NOT_GOODS[row.sku.upper()]}, no product"
    if _SKU.fullmatch(row.sku) is None:
        return "the catalogue takes no such stock code"
    if row.quantity == 0:
        return "no pieces"
    if (row.quantity < 0) != is_credit_note:
        return "a credit note that gives out" if is_credit_note else "a write-off (pieces below 0)"
    if row.price <= 0:
        return "priced 0"
    return "the catalogue takes no such price" if row.price > _HIGHEST_PRICE else None
