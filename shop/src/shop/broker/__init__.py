"""The live broker against its definitions, and what else an operator must know of it."""
