"""The bytes of a CSV file as records, each of which knows which physical lines it takes.

A quote that is opened by mistake would swallow the lines after it until the next one, and their invoices with
them. Here it costs its own line only.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

DELIMITERS = ",;\t|"
_INVOICE = re.compile(r"[A-Za-z]{0,3}\d+(?:\.0)?", re.ASCII)
_LONGEST_RECORD = 50  # physical lines of a quoted text
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class Undecodable(ValueError):
    """The bytes are no text."""


@dataclass(frozen=True)
class Text:
    """Physical lines with their ends. `legacy` counts those that are not UTF-8 and were read as Windows-1252,
    the superset of Latin-1 that spreadsheets write."""

    lines: list[str]
    encoding: str
    legacy: int


@dataclass(frozen=True)
class Record:
    """The cells of one row, which begins in physical line `line`, counted from 1, and takes `span` of them.
    With a `problem`, the first cells at most are right."""

    line: int
    span: int = 1
    cells: list[str] = field(default_factory=list)
    problem: str | None = None


def decoded(data: bytes) -> Text:
    """UTF-8, UTF-16 and Windows-1252, with or without a byte-order mark; lines end as on Unix, Windows or an
    old Mac. Raises Undecodable."""
    encoding = _UTF_16.get(data[:2]) or _unmarked_utf_16(data)
    if encoding:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as error:
            raise Undecodable(f"it begins as {encoding.upper()} and is not: {error}") from error
    lines, legacy = [], 0
    for line in data.splitlines(keepends=True):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text, legacy = _legacy(line), legacy + 1
        lines.append(text.removeprefix("\ufeff"))
    return Text(lines, encoding or "utf-8", legacy)


def _unmarked_utf_16(data: bytes) -> str | None:
    """ASCII in UTF-16 has a zero in every other byte."""
    if data[1:8:2] == bytes(4):
        return "utf-16-le"
    return "utf-16-be" if data[0:8:2] == bytes(4) else None


def _legacy(line: bytes) -> str:
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:  # it leaves five bytes undefined
        return line.decode("latin-1")


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line."""
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter)
    return next(csv.reader([line], delimiter=delimiter), [])


def records(lines: Sequence[str], first: int, delimiter: str, width: int, invoice: int) -> Iterator[Record]:
    """The records from the index `first` on. `width` is how many cells a row has, `invoice` the index of the
    invoice's number, by which a row is recognised that a quote has swallowed."""
    at = first
    while at < len(lines):
        record = _record(lines, at, delimiter)
        swallowed = lines[at + 1 : at + record.span]
        if swallowed and (
            len(record.cells) != width
            or any(_is_row(split(line, delimiter), width, invoice) for line in swallowed)
        ):
            cells = split(lines[at], delimiter)
            record = Record(at + 1, cells=cells, problem="a quote is opened and not closed in this line")
        yield record
        at += record.span


def _record(lines: Sequence[str], at: int, delimiter: str) -> Record:
    if '"' not in lines[at]:
        return Record(at + 1, cells=split(lines[at], delimiter))
    reader = csv.reader(lines[at : at + _LONGEST_RECORD], delimiter=delimiter)
    try:
        cells = next(reader, [])
    except csv.Error as error:
        return Record(at + 1, problem=str(error))
    return Record(at + 1, reader.line_num, cells)


def _is_row(cells: Sequence[str], width: int, invoice: int) -> bool:
    return len(cells) >= width and _INVOICE.fullmatch(cells[invoice].strip()) is not None
