"""The Kong plugins that `kong.yml` may name; any other is refused."""
