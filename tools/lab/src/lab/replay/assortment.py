"""What the invoices sell, as a catalogue has it: one name and one price for each product."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lab.replay.invoices import Invoice
from lab.replay.reading import Row


@dataclass(frozen=True)
class Good:
    """A product: its price in minor units, and the pieces that the invoices sell of it."""

    sku: str
    name: str
    price: int
    sold: int


def assortment(sales: Iterable[Invoice]) -> dict[str, Good]:
    """By sku, in order of first sale. Where prices or names differ, the commonest counts, then the first."""
    rows: dict[str, list[Row]] = {}
    for sale in sales:
        for row in sale.rows:
            rows.setdefault(row.sku, []).append(row)
    return {sku: _good(sku, of_it) for sku, of_it in rows.items()}


def repriced(sales: Iterable[Invoice], goods: dict[str, Good]) -> int:
    """How many rows were sold at another price than the catalogue's."""
    return sum(row.price != goods[row.sku].price for sale in sales for row in sale.rows)


def _good(sku: str, rows: list[Row]) -> Good:
    [(price, _)] = Counter(row.price for row in rows).most_common(1)
    names = Counter(row.name for row in rows if row.name).most_common(1)
    return Good(sku, names[0][0][:200] if names else sku, price, sum(row.quantity for row in rows))
