"""Logs, traces, and the redaction of personal data."""
