"""Checkout sagas to play: short scripts, each with its expected outcome."""

from scenarios import addresses, amounts, bank, endings, faults, guests, pages, refunds, two_tabs
from scenarios.play import EXERCISES, SCENARIOS, Outcome, Report, Scenario, Shop, run

__all__ = [
    "EXERCISES",
    "SCENARIOS",
    "Outcome",
    "Report",
    "Scenario",
    "Shop",
    "addresses",
    "amounts",
    "bank",
    "endings",
    "faults",
    "guests",
    "pages",
    "refunds",
    "run",
    "two_tabs",
]
