"""Notification's schema, revision by revision."""
