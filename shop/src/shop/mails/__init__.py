"""Mails that did not go out."""
