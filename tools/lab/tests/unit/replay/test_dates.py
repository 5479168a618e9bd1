"""Whether a date begins with the day or the month is judged by all dates of a file, and never guessed."""

import pytest

from lab.replay.columns import Ambiguous, Dates, judge_dates, parse_date
from lab.replay.reading import BadFile, read_file
from tools.lab.tests.invoice_files import WriteFile, row


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2010-12-01", "2010-12-01"),
        ("2010-12-01 08:26:00", "2010-12-01"),
        ("2010-12-01T08:26:00.5Z", "2010-12-01"),
        ("2010/12/01", "2010-12-01"),
        ("1/12/2010", "2010-12-01"),
        ("1/12/2010 8:26", "2010-12-01"),
        ("01/12/2010 08:26 AM", "2010-12-01"),
        ("01.12.2010 08:26", "2010-12-01"),
        ("1-12-10", "2010-12-01"),
    ],
)
def test_a_date_may_have_a_time_and_a_year_of_two_digits(text: str, read: str) -> None:
    assert str(parse_date(text, Dates.DMY)) == read


@pytest.mark.parametrize(
    "text", ["", "31/31/2010", "2010-13-01", "1/12-2010", "1/12/2010 x", "1/12/210", "40513"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text, Dates.DMY) is None


@pytest.mark.parametrize(
    ("texts", "dates"),
    [
        (["1/12/2010", "13/12/2010"], Dates.DMY),
        (["12/1/2010 8:26", "12/13/2010 8:26"], Dates.MDY),
        (["12/13/10"], Dates.MDY),
        (["1.12.2010"], Dates.DMY),
        (["2010-12-01", "12/12/2010"], Dates.DMY),
        (["2010-12-01", "2010/12/02 8:26", "x"], Dates.YMD),
        (["1/12/2010", "2/12/2010", "5/12/2010"], Dates.DMY),
        (["12/1/2010", "12/2/2010", "12/5/2010"], Dates.MDY),
    ],
)
def test_one_form_is_certain(texts: list[str], dates: Dates) -> None:
    assert judge_dates(texts) is dates


@pytest.mark.parametrize(
    "texts",
    [
        ["1/12/2010"],
        ["1/12/2010 8:26", "1/12/2010 9:00"],
        ["12/1/10 8:26", "1/12/2010 08:26:00"],
        ["1/12/2010", "2/12/2010"],
        ["1/11/2010", "2/11/2010", "1/12/2010", "2/12/2010"],
        ["13/12/2010", "12/13/2010"],
    ],
)
def test_dates_that_may_be_either_are_refused(texts: list[str]) -> None:
    with pytest.raises(Ambiguous):
        judge_dates(texts)


def test_a_file_with_such_dates_is_read_once_one_says_which(write: WriteFile) -> None:
    path = write(row(date="1/12/2010"))

    with pytest.raises(BadFile, match=r"1/12/2010 may be .* say which with --dates dmy or --dates mdy$"):
        read_file(path)
    assert str(read_file(path, Dates.DMY).invoices[0].issued) == "2010-12-01"
    assert str(read_file(path, Dates.MDY).invoices[0].issued) == "2010-01-12"


def test_dates_that_do_not_fit_what_one_says_are_refused_by_line(write: WriteFile) -> None:
    file = read_file(write(row(date="13/12/2010"), row(date="12/13/2010")), Dates.DMY)

    assert [(one.line, one.why) for one in file.unreadable] == [
        (3, "InvoiceDate '12/13/2010' is no date in the form day/month/year")
    ]
