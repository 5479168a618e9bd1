"""Rows gathered into invoices; lines that no shop could sell are dropped, each with its reason."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from lab.replay.reading import BadRow, Row

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
_DEAREST = 99_999_999  # pence, in the catalogue
_SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass
class Invoice:
    """One invoice: the rows that count, and how many were dropped for what. A guest has no customer."""

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
        """By sku, however many rows name it; what a credit note takes back is positive, too."""
        pieces: Counter[str] = Counter()
        for row in self.rows:
            pieces[row.sku] += abs(row.quantity)
        return dict(pieces)


@dataclass
class Book:
    """All invoices of a file in the order in which they begin, and the rows that could not be read."""

    invoices: list[Invoice]
    bad_rows: list[BadRow]
    rows: int


def gather(rows: Iterable[Row | BadRow]) -> Book:
    """Every row ends in exactly one place: in its invoice, dropped from it, or with the bad ones."""
    invoices: dict[str, Invoice] = {}
    bad: list[BadRow] = []
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007
        if row.invoice is not None:
            invoice = invoices.setdefault(row.invoice, Invoice(row.invoice))
            row = _agreeing(row, invoice)
            _enter(row, invoice)
        if isinstance(row, BadRow):
            bad.append(row)
    return Book(list(invoices.values()), bad, count)


def _agreeing(row: Row | BadRow, invoice: Invoice) -> Row | BadRow:
    """The first row that can be read says whose invoice it is."""
    if isinstance(row, BadRow):
        return row
    if invoice.issued is None:
        invoice.issued, invoice.customer = row.issued, row.customer
    if row.customer != invoice.customer:
        return BadRow(row.line, row.invoice, "CustomerID is not that of the invoice's rows before it")
    return row


def _enter(row: Row | BadRow, invoice: Invoice) -> None:
    why = UNREADABLE if isinstance(row, BadRow) else _unsellable(row, invoice.is_credit_note)
    if why is not None:
        invoice.dropped[why] += 1
    elif isinstance(row, Row):
        invoice.rows.append(row)


def _unsellable(row: Row, credited: bool) -> str | None:
    if row.sku.upper() in NOT_GOODS:
        return f"{row.sku} is {NOT_GOODS[row.sku.upper()]}, no product"
    if _SKU.fullmatch(row.sku) is None:
        return "the catalogue takes no such stock code"
    if row.quantity == 0:
        return "no pieces"
    if (row.quantity < 0) != credited:
        return "a credit note that gives out" if credited else "a write-off (pieces below 0)"
    if row.price <= 0:
        return "priced 0"
    return "the catalogue takes no such price" if row.price > _DEAREST else None
