"""What nginx refuses before Kong looks for a route, and what it reads that uvicorn's parser does not."""

import re
from typing import TYPE_CHECKING, Final

from httptools import HttpRequestParser
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from standins.gateway.exchange import Answer, Exchange, Headers

if TYPE_CHECKING:
    from standins.gateway.app import Gateway

# `large_client_header_buffers 4 8k`: a line has to fit into one of them.
_LONGEST_LINE: Final = 8 * 1024
_LARGEST_HEAD: Final = 4 * _LONGEST_LINE
_MOST_HEADERS: Final = 1000
_LARGEST_BODY: Final = 8 * 2**20  # KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE
_ONCE: Final = frozenset(
    b"authorization host content-length transfer-encoding expect if-modified-since if-unmodified-since"
    b" if-match if-none-match if-range content-range".split()
)
# The parser ends a path at `#` and takes ASCII alone; to nginx both are bytes like others.
_NOT_PARSED: Final = re.compile(rb"[#\x80-\xff]")


def refusal(exchange: Exchange, scope: Scope) -> Answer | None:
    """nginx's answer to a request that is too large, repeats a header, has no host or traces; else None."""
    query = len(exchange.query) + 1 if exchange.query else 0
    line = len(f"{exchange.method}  HTTP/1.1\r\n") + len(scope["raw_path"]) + query
    if line > _LONGEST_LINE:
        return exchange.failure(414, "URI too long", _closing())
    lengths = [len(name) + len(value) + len(": \r\n") for name, value in exchange.every_header]
    if (
        max(lengths, default=0) > _LONGEST_LINE
        or line + sum(lengths) > _LARGEST_HEAD
        or len(lengths) > _MOST_HEADERS
    ):
        return exchange.failure(400, "Request header or cookie too large", _closing())
    if _is_ambiguous(exchange) or (scope["http_version"] == "1.1" and b"host" not in exchange.headers):
        return exchange.failure(400, "Bad request")
    if exchange.method == "TRACE":
        return exchange.failure(405, "Method not allowed")
    if int(exchange.headers.get(b"content-length", b"0")) > _LARGEST_BODY:
        return exchange.failure(413, "Payload too large", _closing())
    return None


def _closing() -> Headers:
    return {b"connection": b"close"}


def _is_ambiguous(exchange: Exchange) -> bool:
    if len(exchange.headers) == len(exchange.every_header):
        return False
    names = [name for name, _ in exchange.every_header if name in _ONCE]
    return len(names) != len(set(names))


class Protocol(HttpToolsProtocol):
    """uvicorn's, for a Gateway."""

    app: "Gateway"
    parser: HttpRequestParser

    def on_headers_complete(self) -> None:
        self.url = _NOT_PARSED.sub(lambda found: b"%%%02X" % found[0][0], self.url)
        super().on_headers_complete()

    def send_400_response(self, _: str) -> None:
        """For what is no HTTP: Kong's answer instead of uvicorn's, unless another has begun or the client has
        gone."""
        has_begun = self.cycle and self.cycle.response_started and not self.cycle.response_complete
        if self.client and not has_begun:
            answer = self.app.malformed(self.client)
            lines = (b"%s: %s\r\n" % pair for pair in answer.headers.items())
            self.transport.write(b"".join((STATUS_LINE[400], *lines, b"\r\n", answer.body)))
        self.transport.close()
