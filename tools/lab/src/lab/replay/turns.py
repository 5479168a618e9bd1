"""Whose turn it is: in the order of the file, except that one customer does one thing at a time."""

from collections.abc import Iterable

from lab.replay.invoices import Invoice
from lab.replay.plan import Return, Sale

Played = Sale | Return


class Turns:
    """A customer has one cart: who is still busy is passed over, and comes first once free. Guests never
    wait for each other."""

    def __init__(self, steps: Iterable[Played]) -> None:
        self._waiting = dict(enumerate(steps))
        self._busy: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Played | None:
        """The first in the file that may go ahead; None while there is none."""
        for place, step in self._waiting.items():
            customer = step.invoice.customer
            if customer is None or customer not in self._busy:
                del self._waiting[place]
                if customer is not None:
                    self._busy.add(customer)
                return step
        return None

    def done(self, invoice: Invoice) -> None:
        self._busy.discard(invoice.customer or "")
