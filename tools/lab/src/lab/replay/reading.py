"""A file in the columns of the Online Retail data set, row by row: what can be read, and what is wrong."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


class BadFile(ShopError):
    """The file is not what can be replayed."""

    exit_code = 2


@dataclass(frozen=True)
class Row:
    """One line of an invoice. `line` is where it stands in the file, `price` is in minor units."""

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
    """A row that cannot be read; `invoice` as far as that much is legible."""

    line: int
    invoice: str | None
    why: str


class Unreadable(ValueError):
    """What is wrong with a row, in words."""


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
        except Unreadable as error:
            number = (fields["InvoiceNo"] or "").strip()
            yield BadRow(reader.line_num, number or None, str(error))


def _row(line: int, fields: Mapping[str | None, str | None]) -> Row:
    if None in fields or None in fields.values():
        raise Unreadable("it has not as many fields as the heading")
    text = {name: (fields[name] or "").strip() for name in COLUMNS}
    for name in ("InvoiceNo", "StockCode"):
        if not text[name]:
            raise Unreadable(f"{name} is empty")
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
        raise Unreadable(f"Quantity {text!r} is no whole number")
    return int(text)


def _pence(text: str) -> int:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise Unreadable(f"UnitPrice {text!r} is no amount of money") from None
    if not price.is_finite() or abs(price) > _MOST:
        raise Unreadable(f"UnitPrice {text!r} is no amount of money")
    return int((price * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _date(text: str) -> date:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise Unreadable(f"InvoiceDate {text!r} is no day/month/year")


def _customer(text: str) -> str | None:
    if text and _CUSTOMER.fullmatch(text) is None:
        raise Unreadable(f"CustomerID {text!r} is no identifier")
    return text or None
