"""A quote may hold a line break; one that is opened by mistake costs its own line and no other."""

import pytest

from lab.replay.invoices import InvoiceFile
from lab.replay.reading import read

HEADING = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def _row(no: int, name: str = "LAMP", country: str = "UK") -> str:
    return f"{no},85123A,{name},6,2010-12-01,2.55,17850,{country}\n"


def _read(*rows: str) -> InvoiceFile:
    return read((HEADING + "".join(rows)).encode())


def _numbers(file: InvoiceFile) -> list[str]:
    return [invoice.number for invoice in file.invoices if invoice.rows]


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        ('"LAMP, RED"', "LAMP, RED"),
        ('"12"" RULER"', '12" RULER'),
        ('12" RULER', '12" RULER'),
        ('LAMP"', 'LAMP"'),
    ],
)
def test_quotes_within_a_line_are_read_as_spreadsheets_write_them(quoted: str, name: str) -> None:
    assert [row.name for row in _read(_row(1, quoted)).invoices[0].rows] == [name]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quoted_text_of_several_lines_is_one_row(end: str) -> None:
    file = _read(_row(1, f'"TWO{end}LINES, ""QUOTED"""'), _row(2))

    assert _numbers(file) == ["1", "2"]
    assert file.invoices[0].rows[0].name == 'TWO LINES, "QUOTED"'
    assert file.lines["invoice"] == 3


@pytest.mark.parametrize("stray", [_row(1, '"LAMP'), _row(1, country='"UK'), f'"{_row(1)}'])
@pytest.mark.parametrize(
    "closing", [_row(5), _row(5, '"LAMP, RED"'), _row(5, 'LAMP"'), _row(5, country='UK"')]
)
def test_a_stray_quote_swallows_no_other_line(stray: str, closing: str) -> None:
    file = _read(stray, _row(2), _row(3), _row(4), closing)

    assert _numbers(file)[:3] == ["2", "3", "4"]
    assert [(row.line, row.why) for row in file.unreadable][:1] == [
        (2, "a quote is opened and not closed in this line")
    ]
    assert file.lines.total() == 6


def test_a_stray_quote_in_the_last_line_is_found() -> None:
    file = _read(_row(1), _row(2, '"LAMP'))

    assert _numbers(file) == ["1"]
    assert [row.line for row in file.unreadable] == [3]
