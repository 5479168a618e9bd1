"""Reading a request's body whole, as Kong does before it turns to the upstream."""

from standins.gateway.exchange import Receive


class TooLarge(Exception):
    """The body is longer than allowed."""


class ClientGone(Exception):
    """The client closed its connection."""


async def read_body(receive: Receive, limit: int | None = None) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes, ClientGone when the connection closes."""
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        part = event.get("body", b"")
        size += len(part)
        if limit is not None and size > limit:
            raise TooLarge
        if not event.get("more_body"):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)
