"""Sagas for operators: which are stuck, why, and what to do next."""
