"""What each invoice becomes: a checkout, the cancellation of an earlier one, or nothing and why; and which
step may be played next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.replay.invoices import UNREADABLE, Invoice


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


@dataclass(frozen=True)
class Order:
    """An order that an earlier replay has placed."""

    id: str
    status: str
    was_paid: bool

    @property
    def was_returned(self) -> bool:
        return self.was_paid and self.status == "cancelled"


@dataclass(frozen=True)
class Placed:
    """Played by an earlier replay."""

    invoice: Invoice
    order: Order


Playable = Sale | Return
Step = Playable | Skip | Placed


def plan(invoices: Iterable[Invoice]) -> list[Step]:
    """One step for each invoice, in the same order."""
    steps: list[Step] = []
    kept: dict[str | None, list[Invoice]] = {}  # sales by customer that were not returned, the latest last
    for invoice in invoices:
        sales = kept.setdefault(invoice.customer, [])
        if invoice.dropped[UNREADABLE]:
            steps.append(Skip(invoice, "a row of it cannot be read"))
        elif not invoice.rows:
            steps.append(Skip(invoice, "no line is left to play", "; ".join(invoice.dropped)))
        elif invoice.is_credit_note:
            steps.append(_credit(invoice, sales))
        else:
            steps.append(Sale(invoice))
            sales.append(invoice)
    return steps


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


def resumed(steps: Iterable[Step], orders: Mapping[str, Order]) -> list[Step]:
    """The steps that are left where earlier replays have placed these orders, by invoice number."""
    return [_resumed(step, orders) for step in steps]


def _resumed(step: Step, orders: Mapping[str, Order]) -> Step:
    match step:
        case Sale(invoice) if invoice.number in orders:
            return Placed(invoice, orders[invoice.number])
        case Return(invoice, sale) if sale in orders and orders[sale].was_returned:
            return Placed(invoice, orders[sale])
    return step


class StepQueue:
    """Gives out steps in the order of the file, but never two of one customer at once, who has one cart: a
    busy customer's steps are passed over, and come first once that customer is free. Guests never wait."""

    def __init__(self, steps: Iterable[Playable]) -> None:
        self._waiting = dict(enumerate(steps))
        self._busy: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Playable | None:
        """The first step of the file that may be played now; None while there is none."""
        for position, step in self._waiting.items():
            customer = step.invoice.customer
            if customer is None or customer not in self._busy:
                del self._waiting[position]
                if customer is not None:
                    self._busy.add(customer)
                return step
        return None

    def done(self, invoice: Invoice) -> None:
        """The invoice's step has ended: its customer is free."""
        self._busy.discard(invoice.customer or "")
