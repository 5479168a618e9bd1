"""For the tests of all members: steps in memory, and access tokens."""

from chassis.testing.harness import Harness as Harness
from chassis.testing.harness import MemoryTx as MemoryTx
from chassis.testing.harness import Published as Published
from chassis.testing.harness import Undeclared as Undeclared
from chassis.testing.harness import published as published
from chassis.testing.tokens import Fault as Fault
from chassis.testing.tokens import TokenMint as TokenMint
from chassis.testing.tokens import signed as signed
from chassis.testing.tokens import signing_key as signing_key
