"""Plays Kong: reads the same `kong.yml`, answers as Kong 3.9 does, refuses what it does not know."""
