"""Checkout sagas to replay, each a short script that says what must come out."""

from scenarios import (
    bank,
    cancelled,
    currencies,
    declined,
    expires,
    free,
    guests,
    out_of_stock,
    paid,
    poison,
    product_down,
    provider,
    repeated,
    spoilt,
)
from scenarios.play import EXERCISES, SCENARIOS, Outcome, Report, Scenario, Shop, run

__all__ = [
    "EXERCISES",
    "SCENARIOS",
    "Outcome",
    "Report",
    "Scenario",
    "Shop",
    "bank",
    "cancelled",
    "currencies",
    "declined",
    "expires",
    "free",
    "guests",
    "out_of_stock",
    "paid",
    "poison",
    "product_down",
    "provider",
    "repeated",
    "run",
    "spoilt",
]
