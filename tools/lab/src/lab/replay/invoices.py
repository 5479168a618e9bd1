"""Rows gathered into invoices. What could not be read or cannot be sold is left out, each row with its line
and its reason."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, cached_property
from typing import Literal

from contracts import is_sku
from lab.replay.columns import Format

_HIGHEST_PRICE = 99_999_999  # pence, in the catalogue
_NOT_GOODS = {
    "ADJUST": "an adjustment by hand",
    "ADJUST2": "an adjustment by hand",
    "AMAZONFEE": "a marketplace's fee",
    "B": "bad debt",
    "BANK CHARGES": "a fee of the bank",
    "C2": "carriage",
    "C3": "carriage",
    "CRUK": "a charity's share",
    "D": "a discount",
    "DOT": "postage",
    "GIFT": "a gift voucher",
    "M": "a manual entry",
    "POST": "postage",
    "S": "samples",
}
UNREADABLE = "the row cannot be read"
Kind = Literal["invoice", "credit_note", "special", "refused", "heading", "empty"]


@dataclass(frozen=True)
class Row:
    """One line of an invoice. `line` is the first of its `span` lines in the file, `price` is in minor
    units."""

    line: int
    invoice: str
    sku: str
    name: str
    quantity: int
    price: int
    issued: date
    customer: str | None
    span: int = 1


@dataclass(frozen=True)
class Refused:
    """A row that is not played, and why; `invoice` if at least that could be read. Unless it is `readable`,
    nobody knows what it was to be."""

    line: int
    invoice: str | None
    why: str
    readable: bool = False
    span: int = 1


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
        return self.number.startswith("C")

    @cached_property
    def pieces(self) -> dict[str, int]:
        """By sku, summed over its rows; what a credit note takes back is positive, too."""
        pieces: Counter[str] = Counter()
        for row in self.rows:
            pieces[row.sku] += abs(row.quantity)
        return dict(pieces)

    @cached_property
    def fingerprint(self) -> str:
        """Of what is ordered by whom: the same in every file and every replay."""
        pieces = sorted((sku.upper(), count) for sku, count in self.pieces.items())
        return hashlib.sha256(json.dumps([self.number, self.customer, pieces]).encode()).hexdigest()[:32]


class InvoiceFile:
    """Rows added one by one; each ends in one place: in its invoice, set apart as no goods, or refused.
    `empty` lines and `headings` come beside them.

    `lines` has every physical line of the file under one kind, `special` the rows that are no goods by why,
    `respelt` counts rows whose stock code differs from an earlier row's in case only, and which got that one.
    """

    def __init__(self, written: Format, empty: int = 0, headings: int = 0) -> None:
        self.written = written
        self.lines: Counter[Kind] = Counter({"empty": empty, "heading": headings})
        self.special: Counter[str] = Counter()
        self.refused: list[Refused] = []
        self.respelt = 0
        self._invoices: dict[str, Invoice] = {}
        self._spellings: dict[str, str] = {}

    @property
    def invoices(self) -> list[Invoice]:
        """In the sequence of their first rows."""
        return list(self._invoices.values())

    @property
    def unreadable(self) -> list[Refused]:
        return [row for row in self.refused if not row.readable]

    @property
    def is_readable(self) -> bool:
        """Whether any row could be read."""
        played = any(invoice.rows for invoice in self._invoices.values())
        return played or bool(self.special) or any(row.readable for row in self.refused)

    def add(self, row: Row | Refused) -> None:
        if isinstance(row, Row):
            row = self._checked(row)
        if isinstance(row, Refused):
            self._refuse(row)
        elif (what := _not_goods(row.sku)) is not None:
            why = f"{row.sku} is {what}, no product"
            self.special[why] += 1
            self.lines["special"] += row.span
            self._invoice(row.invoice).dropped[why] += 1
        else:
            invoice = self._invoice(row.invoice)
            invoice.rows.append(self._spelt(row))
            self.lines["credit_note" if invoice.is_credit_note else "invoice"] += row.span

    def _invoice(self, number: str) -> Invoice:
        if number not in self._invoices:
            self._invoices[number] = Invoice(number)
        return self._invoices[number]

    def _checked(self, row: Row) -> Row | Refused:
        """The first row that can be read decides whose invoice it is."""
        invoice = self._invoice(row.invoice)
        if invoice.issued is None:
            invoice.issued, invoice.customer = row.issued, row.customer
        if row.customer != invoice.customer:
            why = "CustomerID is not that of the invoice's rows before it"
            return Refused(row.line, row.invoice, why, span=row.span)
        if _not_goods(row.sku) is None and (unsellable := _unsellable(row, invoice.is_credit_note)):
            return Refused(row.line, row.invoice, unsellable, readable=True, span=row.span)
        return row

    def _refuse(self, row: Refused) -> None:
        self.refused.append(row)
        self.lines["refused"] += row.span
        if row.invoice is not None:
            self._invoice(row.invoice).dropped[row.why if row.readable else UNREADABLE] += 1

    def _spelt(self, row: Row) -> Row:
        sku = self._spellings.setdefault(row.sku.upper(), row.sku)
        if sku == row.sku:
            return row
        self.respelt += 1
        return replace(row, sku=sku)


@cache
def _not_goods(sku: str) -> str | None:
    code = sku.upper()
    if code.startswith("GIFT_"):
        return "a gift voucher"
    if re.fullmatch(r"TEST\d*", code):
        return "a test"
    return _NOT_GOODS.get(code)


def _unsellable(row: Row, is_credit_note: bool) -> str | None:
    if not is_sku(row.sku):
        return "the catalogue takes no such stock code"
    if row.quantity == 0:
        return "no pieces"
    if (row.quantity < 0) != is_credit_note:
        return "a credit note that gives out" if is_credit_note else "a write-off (pieces below 0)"
    if row.price <= 0:
        return "priced 0"
    return "the catalogue takes no such price" if row.price > _HIGHEST_PRICE else None
