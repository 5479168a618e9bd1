"""How a file writes what a replay needs: its heading, and its dates and prices, which are judged by the whole
column, because one value alone may be read in two ways."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
_SECOND_EDITION = {"invoice": "InvoiceNo", "price": "UnitPrice"}
_NAMES = {name.lower(): name for name in COLUMNS} | _SECOND_EDITION
EXPECTED = (
    "expected CSV with the columns InvoiceNo or Invoice, StockCode, Description, Quantity, InvoiceDate,"
    " UnitPrice or Price, and CustomerID"
)
_TIME = r"(?:[ T]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AP]M)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_DATE = re.compile(
    rf"(\d{{4}}|\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{1,2}}){_TIME}", re.ASCII | re.IGNORECASE
)
_POINT = re.compile(r"-?(?:\d+|[1-9]\d{0,2}(?:,\d{3})+)(\.\d+)?", re.ASCII)
_COMMA = re.compile(r"-?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)(,\d+)?", re.ASCII)


class BadHeading(ValueError):
    """What is wrong with the heading."""


class Ambiguous(ValueError):
    """The dates can be read in two ways."""


class Dates(StrEnum):
    """How dates are written. Those that begin with the year are always read, too."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"

    @property
    def form(self) -> str:
        return {"y": "year-month-day", "d": "day/month/year", "m": "month/day/year"}[self[0]]


@dataclass(frozen=True)
class Format:
    """How a file is written. `decimal` is None if no price shows it, `legacy` is how many lines are not in
    `encoding` but in Windows-1252."""

    encoding: str
    legacy: int
    delimiter: str
    dates: Dates
    decimal: str | None


@dataclass(frozen=True)
class Heading:
    """Where each of `COLUMNS` is in a row of `width` cells."""

    places: dict[str, int]
    width: int

    def cell(self, name: str, cells: Sequence[str]) -> str:
        """Empty if the row does not reach so far."""
        place = self.places[name]
        return cells[place].strip() if place < len(cells) else ""

    def fields(self, cells: Sequence[str]) -> dict[str, str] | None:
        """None unless there are as many cells as in the heading; empty ones may follow."""
        if len(cells) < self.width or any(cell.strip() for cell in cells[self.width :]):
            return None
        return {name: cells[place].strip() for name, place in self.places.items()}

    def is_repeated_in(self, cells: Sequence[str]) -> bool:
        """Whether a row is the heading again, as in files that were joined. Raises BadHeading if it has other
        places."""
        if not self.cell("Quantity", cells)[-1:].isalpha() or not {*COLUMNS} <= {*map(_column, cells)}:
            return False
        if heading(cells).places != self.places:
            raise BadHeading("has another heading in its midst")
        return True


def heading(cells: Sequence[str]) -> Heading:
    """Names may differ in case, spaces and marks. Raises BadHeading."""
    found = [name for cell in cells if (name := _column(cell))]
    if missing := [name for name in COLUMNS if name not in found]:
        raise BadHeading(f"lacks the column{'s'[: len(missing) > 1]} {', '.join(missing)}: {EXPECTED}")
    if len(found) > len(COLUMNS):
        twice = next(name for name in COLUMNS if found.count(name) > 1)
        raise BadHeading(f"has the column {twice} twice: remove the one that does not count")
    return Heading({name: place for place, cell in enumerate(cells) if (name := _column(cell))}, len(cells))


def _column(cell: str) -> str | None:
    return _NAMES.get(re.sub(r"[^a-z]", "", cell.lower()))


@lru_cache
def parse_date(text: str, dates: Dates) -> date | None:
    """None if it is no date."""
    if (match := _DATE.fullmatch(text)) is None:
        return None
    first, _, second, third = match.groups()
    if len(first) == 4:
        year, month, day = first, second, third
    elif dates is Dates.DMY:
        year, month, day = third, second, first
    elif dates is Dates.MDY:
        year, month, day = third, first, second
    else:
        return None
    try:
        return date(int(year) if len(year) == 4 else 2000 + int(year), int(month), int(day))
    except ValueError:
        return None


def judge_dates(texts: Iterable[str]) -> Dates:
    """The one form in which all dates can be read. Where the day or the month may come first, points mean
    day.month.year, and of three or more dates that one form puts into one month and the other spreads over as
    many months, the month is meant. Raises Ambiguous."""
    matches = filter(None, map(_DATE.fullmatch, set(texts)))
    written = sorted({match[0] for match in matches if len(match[1]) < 3})
    if not written:
        return Dates.YMD
    read = [(text, parse_date(text, Dates.DMY), parse_date(text, Dates.MDY)) for text in written]
    only_dmy = next((text for text, dmy, mdy in read if dmy and not mdy), None)
    only_mdy = next((text for text, dmy, mdy in read if mdy and not dmy), None)
    if only_dmy and only_mdy:
        raise Ambiguous(f"InvoiceDate has {only_dmy}, which is day/month/year, and {only_mdy}, which is not")
    if only_dmy or only_mdy:
        return Dates.DMY if only_dmy else Dates.MDY
    both = {(dmy, mdy) for _, dmy, mdy in read if dmy and mdy}
    if all(dmy == mdy for dmy, mdy in both) or all("." in text.split()[0] for text in written):
        return Dates.DMY
    months = [{(day.year, day.month) for day in days} for days in zip(*both, strict=True)]
    if len(both) >= 3 and {len(found) for found in months} == {1, len(both)}:
        return Dates.DMY if len(months[0]) == 1 else Dates.MDY
    raise Ambiguous(
        f"InvoiceDate {written[0]} may be day/month/year or month/day/year, and no date tells which"
    )


def judge_decimals(texts: Iterable[str]) -> str | None:
    """The decimal sign of the prices, `.` or `,`; the point if both occur, None if no price has one for
    certain: 1.234 and 1,234 may be thousands."""
    signs = {_certain_sign(text) for text in set(texts)} - {None}
    return "," if signs == {","} else "." if signs else None


def _certain_sign(text: str) -> str | None:
    point, comma = _POINT.fullmatch(text), _COMMA.fullmatch(text)
    if point and comma:
        return None
    return "." if point and point[1] else "," if comma and comma[1] else None


def plain_number(text: str, sign: str | None) -> str | None:
    """A price with a decimal point and without marks at the thousands; None if it is no number, or if it may
    be two."""
    point, comma = _POINT.fullmatch(text), _COMMA.fullmatch(text)
    if sign is None and not (point and comma and text.lstrip("-").isdecimal()):
        return None
    if sign == ",":
        return text.replace(".", "").replace(",", ".") if comma else None
    return text.replace(",", "") if point else None
