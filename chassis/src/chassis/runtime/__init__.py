"""A running service: its API, its worker, its settings."""
