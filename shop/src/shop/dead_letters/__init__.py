"""Dead letters: looked at without being lost, replayed, edited or discarded exactly once, and audited."""
