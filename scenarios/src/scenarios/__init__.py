"""Checkout sagas to play: short scripts, each with its expected outcome."""

from scenarios import (
    amounts,
    bad_messages,
    bank,
    endings,
    guests,
    later,
    outages,
    repeated,
    returned,
    two_tabs,
)
from scenarios.play import EXERCISES, SCENARIOS, Outcome, Report, Scenario, Shop, run

__all__ = [
    "EXERCISES",
    "SCENARIOS",
    "Outcome",
    "Report",
    "Scenario",
    "Shop",
    "amounts",
    "bad_messages",
    "bank",
    "endings",
    "guests",
    "later",
    "outages",
    "repeated",
    "returned",
    "run",
    "two_tabs",
]
