"""Whatever a file has in it, each of its physical lines is accounted for, once."""

from hypothesis import given
from hypothesis import strategies as st

from lab.replay.columns import Dates
from lab.replay.reading import BadFile, read

HEADING = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
CELLS = st.sampled_from(
    ["C2", "85123A", "POST", "TEST001", '"LAMP', 'LAMP"', '"', "6", "-6", "13/12/2010", "2.55", "2,55", "nan"]
)
ROWS = st.builds(
    lambda *cells: ",".join(cells),
    st.sampled_from(["1", "2", "C3", "5.3E+05", "", '"1']),
    st.sampled_from(["85123A", "85123a", "POST", "85 1", ""]),
    st.sampled_from(["LAMP", '"LAMP', '"A, B"', '"A\nB"', 'A"', "nan"]),
    st.sampled_from(["6", "-6", "0", "six"]),
    st.sampled_from(["1/12/2010", "13/12/2010", "2010-12-01", "x"]),
    st.sampled_from(["2.55", "0", "2,55", "1.234"]),
    st.sampled_from(["17850", "17850.0", "", "nan"]),
    st.sampled_from(["UK", '"UK', 'UK"']),
)
LINES = st.one_of(ROWS, st.lists(CELLS, max_size=10).map(",".join), st.just(HEADING), st.text(max_size=20))


@given(
    st.lists(LINES), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_the_kinds_of_lines_add_up_to_the_lines_of_the_file(rows: list[str], end: str, encoding: str) -> None:
    text = end.join([HEADING, *rows, f"7,71053,LAMP,6,2010-12-01,2.55,17850,UK{end}"])

    file = read(text.encode(encoding, "replace"), Dates.DMY)

    assert file.lines.total() == len(text.encode("utf-8", "replace").splitlines())
    assert all(count >= 0 for count in file.lines.values())
    kept = sum(row.span for invoice in file.invoices for row in invoice.rows)
    assert file.lines["invoice"] + file.lines["credit_note"] == kept
    assert file.lines["refused"] == sum(row.span for row in file.refused)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, headed: bool) -> None:
    data = HEADING.encode() + b"\n" + data if headed else data

    lines, error = _lines_or_error(data)

    assert lines == len(data.splitlines()) if error is None else "\n" not in error


def _lines_or_error(data: bytes) -> tuple[int, str | None]:
    try:
        return read(data).lines.total(), None
    except BadFile as error:
        return 0, str(error)
