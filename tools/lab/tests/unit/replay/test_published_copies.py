"""Rows of copies of the Online Retail data sets as they are published, each written in its own way.

UCI Machine Learning Repository, doi:10.24432/C5BW33 and doi:10.24432/C5CG6D, CC BY 4.0.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from lab.replay.columns import Dates
from lab.replay.invoices import InvoiceFile
from lab.replay.reading import BadFile, read, read_file

DATA = Path(__file__).parents[2] / "data"
CASES = sorted((Path(__file__).parents[6] / "shared" / "cases" / "replay").glob("*.csv"))
HEADING = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def test_the_second_edition_has_other_column_names_and_codes() -> None:
    file = read_file(DATA / "second-edition.csv")

    assert [(one.number, one.customer) for one in file.invoices][:3] == [
        ("489434", "13085"),
        ("489440", None),
        ("489436", "17420"),
    ]
    assert dict(file.lines) == {
        "invoice": 4,
        "credit_note": 1,
        "special": 1,
        "refused": 1,
        "heading": 1,
        "empty": 0,
    }
    assert [(row.line, row.why) for row in file.refused] == [(8, "priced 0")]


def test_customers_from_a_column_of_floats_are_the_same_customers() -> None:
    file = read_file(DATA / "iso-dates-and-floats.csv")

    assert [one.customer for one in file.invoices] == ["17850", "12583"]
    assert file.invoices[0].issued == date(2010, 12, 1)
    assert dict(file.special) == {"POST is postage, no product": 1}


def test_dates_with_points_begin_with_the_day() -> None:
    file = read_file(DATA / "dotted-dates.csv")

    assert {one.issued for one in file.invoices} == {date(2010, 12, 1)}
    assert not file.refused


def test_one_date_that_only_one_form_fits_tells_how_all_are_written() -> None:
    file = read_file(DATA / "month-first.csv")

    assert file.written.dates is Dates.MDY
    assert [one.issued for one in file.invoices] == [
        date(2010, 12, 1),
        date(2010, 12, 13),
        date(2010, 12, 13),
    ]


def _lamp(**changes: str) -> str:
    row = {
        "no": "536365",
        "name": "LAMP",
        "date": "2010-12-01",
        "price": "2.55",
        "customer": "17850",
    } | changes
    return ",".join((row["no"], "85123A", row["name"], "6", row["date"], row["price"], row["customer"], "UK"))


def _file(*rows: str, heading: str = HEADING, end: str = "\n") -> str:
    return end.join((heading, *rows, ""))


ENCODINGS: list[Callable[[str], bytes]] = [
    lambda text: text.encode(),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-16-le"),
    lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    lambda text: text.encode("utf-16-be"),
    lambda text: text.encode("cp1252"),
    lambda text: text.encode("latin-1"),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(),
]


@pytest.mark.parametrize("encode", ENCODINGS)
def test_the_encoding_and_the_line_ends_change_nothing(encode: Callable[[str], bytes]) -> None:
    file = read(encode(_file(_lamp(name="CAFÉ CRÈME ½ MUG"), _lamp(no="2"))))

    assert [row.name for row in file.invoices[0].rows] == ["CAFÉ CRÈME ½ MUG"]
    assert (file.lines.total(), file.lines["invoice"], len(file.invoices)) == (3, 2, 2)


def test_lines_of_another_encoding_are_counted() -> None:
    utf_8, cp1252 = _file(_lamp(name="CAFÉ")).encode(), f"{_lamp(name='CRÈME €')}\n".encode("cp1252")

    file = read(b"\xef\xbb\xbf" + utf_8 + cp1252)

    assert [row.name for row in file.invoices[0].rows] == ["CAFÉ", "CRÈME €"]
    assert (file.written.encoding, file.written.legacy) == ("utf-8", 1)


@pytest.mark.parametrize(
    "heading",
    [
        HEADING.lower(),
        HEADING.upper(),
        HEADING.replace(",", ", "),
        HEADING.replace("CustomerID", "Customer ID").replace("InvoiceNo", "Invoice"),
        HEADING.replace("UnitPrice", "unit_price").replace("InvoiceDate", "Invoice Date"),
    ],
)
def test_column_names_differ_in_case_spaces_and_marks(heading: str) -> None:
    assert read(_file(_lamp(), heading=heading).encode()).lines["invoice"] == 1


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_cells_are_separated_by_what_separates_the_heading(delimiter: str) -> None:
    text = _file(_lamp(), _lamp(no="2")).replace(",", delimiter)

    assert read(text.encode()).lines["invoice"] == 2


def test_prices_may_have_a_decimal_comma() -> None:
    rows = (
        _lamp(price=price).replace(",", ";").replace("x", ",") for price in ("2x55", "1.234x50", "1.234", "3")
    )

    file = read(_file(*rows, heading=HEADING.replace(",", ";")).encode())

    assert [row.price for row in file.invoices[0].rows] == [255, 123450, 123400, 300]


@pytest.mark.parametrize("price", ["1.234", "1x234"])
def test_a_price_that_may_be_a_thousand_is_refused_where_no_other_tells(price: str) -> None:
    rows = (_lamp(price=one).replace(",", ";").replace("x", ",") for one in (price, "3"))

    file = read(_file(*rows, heading=HEADING.replace(",", ";")).encode())

    assert [row.line for row in file.unreadable] == [2]


@pytest.mark.parametrize("customer", ["", "nan", "NaN", "NULL", "None", "NA", "n/a", "#N/A"])
def test_a_missing_customer_is_a_guest(customer: str) -> None:
    [invoice] = read(_file(_lamp(customer=customer)).encode()).invoices

    assert invoice.customer is None


@pytest.mark.parametrize(
    "row",
    [
        _lamp(no="5.36365E+05"),
        _lamp(no="5.36E5"),
        _lamp(no="5,36e+05".replace(",", ".")),
        _lamp(customer="1.785E+04"),
    ],
)
def test_numbers_that_a_spreadsheet_has_rounded_are_refused(row: str) -> None:
    file = read(_file(_lamp(), row).encode())

    [refused] = file.unreadable
    assert refused.line == 3
    assert refused.why.endswith("was rounded, which merges what was apart")


def test_a_repeated_heading_is_no_row() -> None:
    joined = _file(_lamp()) + _file(_lamp(no="2"), heading=HEADING.replace("InvoiceNo", "Invoice"))

    file = read(joined.encode())

    assert (file.lines["heading"], file.lines["invoice"], file.refused) == (2, 2, [])


def test_a_file_whose_columns_change_their_places_is_refused() -> None:
    swapped = HEADING.replace("Quantity", "x").replace("UnitPrice", "Quantity").replace("x", "UnitPrice")

    with pytest.raises(BadFile, match="from line 3 on: it has another heading in its midst"):
        read((_file(_lamp()) + _file(_lamp(), heading=swapped)).encode())


def test_codes_that_differ_in_case_only_are_one_product() -> None:
    file = read(_file(_lamp(), _lamp().replace("85123A", "85123a")).encode())

    assert file.invoices[0].pieces == {"85123A": 12}
    assert file.respelt == 1


@pytest.mark.skipif(not CASES, reason="the cases are not beside this clone")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_case_is_read_or_refused_in_one_line(case: Path) -> None:
    def lines_of(dates: Dates | None) -> InvoiceFile | str:
        try:
            return read_file(case, dates)
        except BadFile as error:
            return str(error)

    outcomes = [lines_of(None), lines_of(Dates.DMY)]
    for outcome in outcomes:
        if isinstance(outcome, str):
            assert outcome.startswith(str(case))
            assert "\n" not in outcome
            assert "--dates" in outcome or "expected CSV" in outcome or "Quantity twice" in outcome
        else:
            assert outcome.lines.total() == sum(1 for _ in case.open(newline=None, encoding=_encoding(case)))


def _encoding(case: Path) -> str:
    return "utf-16" if "utf16" in case.stem else "latin-1"
