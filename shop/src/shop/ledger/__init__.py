"""The promises of the design, each a check on what can be seen from outside."""

from shop.ledger.checks import CHECKS, Check, Finding
from shop.ledger.evidence import Evidence

__all__ = ["CHECKS", "Check", "Evidence", "Finding"]
