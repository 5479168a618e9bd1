"""The bodies and headers of the answers that Kong gives itself."""

from typing import Final

import orjson

from standins.gateway.exchange import Answer, Exchange, Headers

SERVER: Final = b"kong/3.9.3"
VIA: Final = b"1.1 kong/3.9.3"

_JSON: Final = b"application/json; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"


def message(exchange: Exchange, status: int, text: str, headers: Headers | None = None) -> Answer:
    """The pretty-printed body with a request id: no route, size and rate limits, name resolution."""
    body = f'{{\n  "message":"{text}",\n  "request_id":"{exchange.request_id}"\n}}'.encode()
    return Answer(status, {b"content-type": _JSON, **(headers or {})}, body)


def refusal(status: int, content: object, headers: Headers) -> Answer:
    """The compact body without an id that the jwt plugin gives."""
    return Answer(status, {b"content-type": _JSON, **headers}, orjson.dumps(content))


def failure(exchange: Exchange, status: int, text: str) -> Answer:
    """What nginx's own errors become: plain text, unless the client accepts another type."""
    accept = exchange.headers.get(b"accept", b"text/plain")
    if accept.startswith(b"text/plain"):
        return plain(status, f"{text}\nrequest_id: {exchange.request_id}\n")
    return message(exchange, status, text)


def plain(status: int, text: str) -> Answer:
    return Answer(status, {b"content-type": _TEXT}, text.encode())
