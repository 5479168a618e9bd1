"""What each invoice becomes: a checkout, the cancellation of an earlier one, or nothing and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.replay.invoices import Invoice


@dataclass(frozen=True)
class Sale:
    """To be checked out."""

    invoice: Invoice


@dataclass(frozen=True)
class Return:
    """A credit note that takes back all of an earlier sale: that order is to be cancelled."""

    invoice: Invoice
    sale: str


@dataclass(frozen=True)
class Skip:
    """Not to be played."""

    invoice: Invoice
    reason: str
    detail: str | None = None


Step = Sale | Return | Skip


def plan(invoices: Iterable[Invoice]) -> list[Step]:
    """One step for each invoice, in the same order."""
    steps: list[Step] = []
    kept: dict[str | None, list[Invoice]] = {}  # sales by customer that nobody has returned, the latest last
    for invoice in invoices:
        sales = kept.setdefault(invoice.customer, [])
        if not invoice.rows:
            steps.append(_empty(invoice))
        elif invoice.is_credit_note:
            steps.append(_credit(invoice, sales))
        else:
            steps.append(Sale(invoice))
            sales.append(invoice)
    return steps


def _empty(invoice: Invoice) -> Skip:
    return Skip(invoice, "no line is left to play", "; ".join(invoice.dropped))


def _credit(note: Invoice, sales: list[Invoice]) -> Return | Skip:
    if note.customer is None:
        return Skip(note, "returns a guest's purchase, nobody knows which")
    back = note.pieces
    for sale in reversed(sales):
        if sale.pieces == back:
            sales.remove(sale)
            return Return(note, sale.number)
    for sale in reversed(sales):
        if all(sale.pieces.get(sku, 0) >= count for sku, count in back.items()):
            return Skip(note, "returns a part of a sale, and orders are cancelled whole", sale.number)
    return Skip(note, "returns what no sale in this file explains")
