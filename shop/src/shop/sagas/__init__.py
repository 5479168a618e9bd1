"""Sagas as an operator looks at them: which stand, why, and what to do next."""
