"""Requests as plugins see them."""

from collections.abc import MutableMapping
from typing import Any

from standins.gateway.exchange import Exchange


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def exchange(client: str = "10.0.0.1", **headers: str) -> Exchange:
    """A GET of / with the given headers."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Exchange("GET", "/", b"", dict(pairs), pairs, client, client, False, "0" * 32, _nothing, "%s %s")
