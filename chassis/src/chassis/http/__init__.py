"""Requests, tokens, problems."""
