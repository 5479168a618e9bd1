"""For the tests of all members: steps in memory, and access tokens."""

from chassis.testing.harness import Harness, MemoryTx, Published, Undeclared, published
from chassis.testing.tokens import Fault, TokenMint, signed, signing_key

__all__ = [
    "Fault",
    "Harness",
    "MemoryTx",
    "Published",
    "TokenMint",
    "Undeclared",
    "published",
    "signed",
    "signing_key",
]
