"""A warehouse for a machine that has none: it ships orders and receives returns, through the public API."""
