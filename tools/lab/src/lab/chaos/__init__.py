"""Faults on the real thing under load, and what must hold when it is over."""
