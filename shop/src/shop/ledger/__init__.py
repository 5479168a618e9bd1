"""The promises of the design, each a set of checks on evidence from outside."""

from shop.ledger.checks import CHECKS, Check, Violation
from shop.ledger.evidence import Evidence

__all__ = ["CHECKS", "Check", "Evidence", "Violation"]
