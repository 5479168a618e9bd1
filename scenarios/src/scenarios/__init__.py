"""Checkout sagas to replay, each a short script that says what must come out."""

from scenarios import (
    cancelled,
    declined,
    expires,
    out_of_stock,
    paid,
    poison,
    product_down,
    provider,
    repeated,
)
from scenarios.play import SCENARIOS, Outcome, Report, Scenario, Shop, run

__all__ = [
    "SCENARIOS",
    "Outcome",
    "Report",
    "Scenario",
    "Shop",
    "cancelled",
    "declined",
    "expires",
    "out_of_stock",
    "paid",
    "poison",
    "product_down",
    "provider",
    "repeated",
    "run",
]
