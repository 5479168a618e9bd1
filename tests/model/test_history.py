"""A broken promise is drawn as a history that one can follow."""

from io import StringIO

import pytest
from rich.console import Console

import product.domain
from tests.model import history
from tests.model.shops import FICKLE, search


def test_the_history_names_who_did_what_and_which_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product.domain, "_short", lambda wanted, stocks: ())
    violation = search(FICKLE).violation
    assert violation is not None
    console = Console(file=StringIO(), width=100)
    console.print(history.draw(*violation))
    assert isinstance(console.file, StringIO)
    broken, header, _, _, *steps = (line.rstrip() for line in console.file.getvalue().splitlines())
    assert broken == "broken: stock-adds-up: A: a negative quantity (-1, 2, 0)"
    assert header.split() == ["what", "happens", "order", "product", "payment"]
    for number, step in enumerate(steps, 1):
        assert step.startswith(f"{number} product handles order.created of order {number}")
        assert step.index("● stock.reserved") == header.index("product")
    assert len(steps) == 2
