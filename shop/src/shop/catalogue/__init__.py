"""Products from a file into a shop's catalogue."""
