"""A CSV file of the Online Retail data set, read: bytes become invoices, and every physical line is accounted
for. No two of the copies that are published are written alike, so a file is read as it is written where that
is certain, and refused where it could be read in two ways."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from contracts import cleaned
from lab.replay.columns import (
    EXPECTED,
    Ambiguous,
    BadHeading,
    Dates,
    Format,
    Heading,
    heading,
    judge_dates,
    judge_decimals,
    parse_date,
    plain_number,
)
from lab.replay.invoices import InvoiceFile, Refused, Row
from lab.replay.text import DELIMITERS, Record, Text, Undecodable, decoded, records, split
from shop.errors import ShopError

_CUSTOMER = re.compile(r"(?=.{1,40}$)[a-z0-9]+([._-][a-z0-9]+)*")
_QUANTITY = re.compile(r"-?\d{1,9}", re.ASCII)
_MISSING = {"", "nan", "null", "none", "na", "n/a", "#n/a", "<na>"}
_INTEGRAL = re.compile(r"(-?\d+)[.,]0{1,2}", re.ASCII)  # an integer in a column of floats
_ROUNDED = re.compile(r"-?\d+(?:[.,]\d+)?E[+-]?\d+", re.ASCII | re.IGNORECASE)
_MOST = 10**9  # more pence than that are a slip, not a price


class BadFile(ShopError):
    """The file cannot be replayed."""

    exit_code = 2


class _Unreadable(ValueError):
    """What is wrong with a row."""


def read_file(path: Path, dates: Dates | None = None) -> InvoiceFile:
    """The invoices of a file; `dates` overrules what the dates look like. Raises BadFile."""
    try:
        return read(path.read_bytes(), dates)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error
    except BadFile as error:
        raise BadFile(f"{path} {error}") from error


def read(data: bytes, dates: Dates | None = None) -> InvoiceFile:
    """As `read_file`, of the file's content."""
    try:
        text = decoded(data)
    except Undecodable as error:
        raise BadFile(f"is no text: {error}; {EXPECTED}") from error
    start = next((at for at, line in enumerate(text.lines) if line.strip()), None)
    if start is None:
        raise BadFile(f"is empty: {EXPECTED}")
    delimiter, columns = _find_heading(text.lines[start])
    empty, headings, rows = start, 1, []
    for record in records(text.lines, start + 1, delimiter, columns.width, columns.places["InvoiceNo"]):
        if record.problem is None and not any(cell.strip() for cell in record.cells):
            empty += record.span
        elif _is_heading(record, columns):
            headings += record.span
        else:
            rows.append(record)
    file = InvoiceFile(_judge(text, delimiter, columns, rows, dates), empty, headings)
    for row in rows:
        file.add(_row(row, columns, file.written))
    if not file.is_readable:
        found = f"line {file.refused[0].line}: {file.refused[0].why}" if rows else "there is only a heading"
        raise BadFile(f"has no row that can be read ({found}): {EXPECTED}")
    return file


def _find_heading(line: str) -> tuple[str, Heading]:
    """The delimiter is the one by which the line becomes a heading."""
    problems = []
    for delimiter in DELIMITERS:
        try:
            return delimiter, heading(split(line, delimiter))
        except BadHeading as error:
            problems.append(str(error))
    raise BadFile(min(problems, key=len))  # the fewest columns are missing


def _is_heading(record: Record, columns: Heading) -> bool:
    try:
        return columns.is_repeated_in(record.cells)
    except BadHeading as error:
        raise BadFile(f"cannot be read from line {record.line} on: it {error}") from error


def _judge(
    text: Text, delimiter: str, columns: Heading, rows: Iterable[Record], dates: Dates | None
) -> Format:
    fitting = [fields for row in rows if (fields := columns.fields(row.cells)) is not None]
    try:
        dates = dates or judge_dates(fields["InvoiceDate"] for fields in fitting)
    except Ambiguous as error:
        raise BadFile(f"cannot be dated: {error}: say which with --dates dmy or --dates mdy") from error
    decimal = judge_decimals(fields["UnitPrice"] for fields in fitting)
    return Format(text.encoding, text.legacy, delimiter, dates, decimal)


def _row(record: Record, columns: Heading, written: Format) -> Row | Refused:
    number = None
    try:
        number = _invoice(columns.cell("InvoiceNo", record.cells))
        fields = columns.fields(record.cells)
        if record.problem or fields is None:
            raise _Unreadable(record.problem or "it has not as many fields as the heading")
        if not fields["StockCode"]:
            raise _Unreadable("StockCode is empty")
        return Row(
            record.line,
            number,
            fields["StockCode"],
            _name(fields["Description"]),
            _quantity(fields["Quantity"]),
            _pence(fields["UnitPrice"], written.decimal),
            _date(fields["InvoiceDate"], written.dates),
            _customer(fields["CustomerID"].lower()),
            record.span,
        )
    except _Unreadable as error:
        return Refused(record.line, number, str(error), span=record.span)


def _integer(text: str) -> str:
    """17850.0 is an integer from a column of floats."""
    match = _INTEGRAL.fullmatch(text)
    return match[1] if match else text


def _exact(name: str, text: str) -> str:
    """Raises _Unreadable for 5.36E+05, which is many numbers."""
    if _ROUNDED.fullmatch(text):
        raise _Unreadable(f"{name} {text!r} was rounded, which merges what was apart")
    return _integer(text)


def _invoice(text: str) -> str:
    if not text:
        raise _Unreadable("InvoiceNo is empty")
    return _exact("InvoiceNo", text).upper()


def _name(text: str) -> str:
    return "" if text.lower() in _MISSING else cleaned(" ".join(text.split()))


def _quantity(text: str) -> int:
    number = _integer(text)
    if _QUANTITY.fullmatch(number) is None:
        raise _Unreadable(f"Quantity {text!r} is no whole number")
    return int(number)


def _pence(text: str, decimal: str | None) -> int:
    number = plain_number(text, decimal)
    if number is None or abs(Decimal(number)) > _MOST:
        raise _Unreadable(f"UnitPrice {text!r} is no amount of money")
    return int((Decimal(number) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _date(text: str, dates: Dates) -> date:
    found = parse_date(text, dates)
    if found is None:
        raise _Unreadable(f"InvoiceDate {text!r} is no date in the form {dates.form}")
    return found


def _customer(text: str) -> str | None:
    """None for a guest."""
    if text in _MISSING:
        return None
    if _CUSTOMER.fullmatch(customer := _exact("CustomerID", text)) is None:
        raise _Unreadable(f"CustomerID {text!r} is no identifier")
    return customer
