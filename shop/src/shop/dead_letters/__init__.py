"""Dead letters: read without losing any; replayed, edited or discarded exactly once, with an audit."""
