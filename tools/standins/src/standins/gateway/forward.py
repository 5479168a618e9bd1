"""Whom a request comes from, the request as the upstream gets it, and answers on their way to the client.

Behind trusted proxies the client is found as nginx's realip module does it, recursively; Kong does so
by `trusted_ips`, `real_ip_header=X-Forwarded-For` and `real_ip_recursive=on`.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Iterable

from aiohttp import ClientError, ClientResponse
from starlette.types import Send

from standins.gateway.config import Route
from standins.gateway.exchange import SERVER, VIA, Answer, Exchange, Headers, Plugin
from standins.gateway.plan import Target
from standins.gateway.router import escape

log = logging.getLogger(__name__)

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate te trailer trailers transfer-encoding"
    b" upgrade".split()
)
_OURS = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-path x-forwarded-prefix"
    b" x-real-ip x-kong-request-id via".split()
)
_NOT_PASSED = _HOP_BY_HOP | _OURS | {b"proxy-authorization", b"expect", b"content-length", b"host"}
# `date` is left to the server in front, which writes its own.
_NOT_RETURNED = _HOP_BY_HOP | {b"date"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Trusted = tuple[Network, ...]

_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([0-9.]+)):[0-9]+")


def trusted_proxies(text: str) -> Trusted:
    """Addresses and CIDR blocks, comma-separated. Raises ValueError."""
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def is_trusted(address: str, trusted: Trusted) -> bool:
    """Whether it is one of the proxies."""
    return bool(trusted) and any(ipaddress.ip_address(address) in network for network in trusted)


def client_of(peer: str, forwarded: Iterable[str], trusted: Trusted) -> str:
    """The last address that no trusted proxy has; `forwarded` are the values of X-Forwarded-For.

    What a client has put there itself is to the left of its own address, and is not reached.
    """
    client = peer
    for entry in reversed(",".join(forwarded).split(",")):
        if not is_trusted(client, trusted):
            break
        before = address(entry.strip())
        if before is None:
            break
        client = before
    return client


def address(text: str) -> str | None:
    """An address in its usual form, or None; nginx takes one with a port as well."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return str(ipaddress.ip_address(with_port[1] or with_port[2] if with_port else text))
    except ValueError:
        return None


def upstream_path(target: Target, path: str, matched: str) -> str:
    """Kong's way (`path_handling: v0`) of joining the service's path with the request's."""
    parent = target.service.url.path.rstrip("/")
    if not target.route.strip_path:
        return escape(parent + path)
    rest = _without_leading_dots(path[len(matched) :])
    if rest:
        return escape(parent + "/" + rest.removeprefix("/"))
    closing = len(path) > 1 and path.endswith("/")
    return escape((parent + "/" if closing else parent) or "/")


def _without_leading_dots(rest: str) -> str:
    if rest in (".", ".."):
        return ""
    return rest.removeprefix("../") if rest.startswith("../") else rest.removeprefix("./")


def upstream_headers(
    exchange: Exchange, target: Target, matched: str, scheme: str, port: int
) -> list[tuple[bytes, bytes]]:
    """What the client names in `Connection` is dropped, also where a plugin set it: so does Kong."""
    named = _named_by_connection(exchange)
    dropped = _NOT_PASSED | exchange.removed | exchange.upstream.keys() | named
    headers = [pair for pair in exchange.every_header if pair[0] not in dropped]
    headers += [pair for pair in exchange.upstream.items() if pair[0] not in named]
    headers += _forwarded(exchange, scheme, port)
    prefix = forwarded(exchange, b"x-forwarded-prefix", escape(matched) if target.route.strip_path else "")
    if prefix:
        headers.append((b"x-forwarded-prefix", prefix.encode()))
    return headers


def forwarded(exchange: Exchange, name: bytes, own: str) -> str:
    """The value that a trusted proxy sent in that header, or the gateway's own."""
    given = exchange.headers.get(name) if exchange.trusted else None
    return own if given is None else given.decode("latin-1")


def _named_by_connection(exchange: Exchange) -> frozenset[bytes]:
    connection = exchange.headers.get(b"connection")
    if connection is None or connection.lower() in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(name.strip().lower() for name in connection.split(b","))


def _forwarded(exchange: Exchange, scheme: str, port: int) -> list[tuple[bytes, bytes]]:
    peer = exchange.peer.encode()
    before = exchange.headers.get(b"x-forwarded-for")
    own = {
        b"x-forwarded-proto": scheme,
        b"x-forwarded-host": _host(exchange),
        b"x-forwarded-port": str(port),
        b"x-forwarded-path": escape(exchange.path),
    }
    return [
        (b"x-forwarded-for", before + b", " + peer if before else peer),
        *((name, forwarded(exchange, name, value).encode("latin-1")) for name, value in own.items()),
        (b"x-real-ip", exchange.client.encode()),
        (b"x-kong-request-id", exchange.request_id.encode()),
        (b"via", _via(exchange.headers.get(b"via"))),
    ]


def to_https(exchange: Exchange, route: Route, scheme: str, raw_path: bytes) -> Answer | None:
    """What a request gets that came in without TLS on a route that has nothing else; else None.

    The address has no port, as Kong's has none.
    """
    if route.protocols != ["https"] or forwarded(exchange, b"x-forwarded-proto", scheme) == "https":
        return None
    if route.https_redirect_status_code == 426:
        upgrade = {b"connection": b"Upgrade", b"upgrade": b"TLS/1.2, HTTP/1.1"}
        return exchange.message(route.https_redirect_status_code, "Please use HTTPS protocol", upgrade)
    query = b"?" + exchange.query if exchange.query else b""
    host = forwarded(exchange, b"x-forwarded-host", _host(exchange)).encode("latin-1")
    return Answer(route.https_redirect_status_code, {b"location": b"https://" + host + raw_path + query})


def _host(exchange: Exchange) -> str:
    """As nginx's `$host`: without a port, in lower case."""
    host = exchange.headers.get(b"host", b"").decode("latin-1").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def complete(exchange: Exchange, plugins: Iterable[Plugin], answer: Answer) -> None:
    """Gives an answer of the gateway the headers that it always has, and those of the plugins."""
    headers = answer.headers
    headers[b"content-length"] = b"%d" % len(answer.body)
    headers[b"server"] = SERVER
    if exchange.asked is None:
        headers[b"x-kong-request-id"] = exchange.request_id.encode()
        headers[b"x-kong-response-latency"] = b"%d" % ((time.monotonic() - exchange.started) * 1000)
    else:
        headers |= _of_proxied(exchange, exchange.asked, None)
    for plugin in plugins:
        plugin.decorate(exchange, headers)


async def send_own(send: Send, exchange: Exchange, plugins: Iterable[Plugin], answer: Answer) -> None:
    """Sends an answer of the gateway."""
    complete(exchange, plugins, answer)
    if answer.status >= 500:
        log.warning("%s %s %d %s", exchange.method, exchange.path, answer.status, exchange.request_id)
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers.items()})
    await send({"type": "http.response.body", "body": answer.body})


async def send_upstream(
    send: Send, exchange: Exchange, plugins: Iterable[Plugin], answer: ClientResponse, asked: float
) -> None:
    """Passes an upstream's answer on, piece by piece. Ends without an end when the upstream breaks off."""
    headers, cookies = _returned(answer.raw_headers)
    headers.setdefault(b"server", SERVER)
    headers |= _of_proxied(exchange, asked, headers.get(b"via"))
    for plugin in plugins:
        plugin.decorate(exchange, headers)
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": [*headers.items(), *cookies]}
    )
    body, ended = answer.content, False
    try:
        while not ended:
            piece = await body.readany()
            ended = body.at_eof()
            await send({"type": "http.response.body", "body": piece, "more_body": not ended})
    except (ClientError, OSError) as error:
        log.warning("%s %s broke off: %r", exchange.method, exchange.path, error)


def _of_proxied(exchange: Exchange, asked: float, via: bytes | None) -> Headers:
    """What an answer carries after a service was asked, whether it gave one or not."""
    return {
        b"x-kong-upstream-latency": b"%d" % ((time.monotonic() - asked) * 1000),
        b"x-kong-proxy-latency": b"%d" % ((asked - exchange.started) * 1000),
        b"x-kong-request-id": exchange.request_id.encode(),
        b"via": _via(via),
    }


def _via(before: bytes | None) -> bytes:
    return before + b", " + VIA if before else VIA


def _returned(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Headers, list[tuple[bytes, bytes]]]:
    headers: Headers = {}
    cookies: list[tuple[bytes, bytes]] = []
    for original, value in raw:
        name = original.lower()
        if name == b"set-cookie":
            cookies.append((name, value))
        elif name in headers:
            headers[name] += b", " + value
        elif name not in _NOT_RETURNED:
            headers[name] = value
    return headers, cookies
