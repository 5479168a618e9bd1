"""The gateway's configuration: `deploy/kong/kong.yml` with auth's public keys in it."""

from shop.stack.stack import Stack


def prepare(stack: Stack) -> None:
    """Waits for the gateway's renderer."""
