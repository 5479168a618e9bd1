"""One module for each Kong plugin that `kong.yml` may name; any other is refused."""
