"""The request as the upstream gets it: the target path, and which headers pass, change or are added."""

from standins.gateway.answers import VIA
from standins.gateway.exchange import Exchange
from standins.gateway.paths import escape
from standins.gateway.plan import Target

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer trailers"
    b" transfer-encoding upgrade expect content-length host".split()
)
_OURS = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-path x-forwarded-prefix"
    b" x-real-ip x-kong-request-id via".split()
)
_NOT_PASSED = _HOP_BY_HOP | _OURS


def upstream_path(target: Target, path: str, matched: str) -> str:
    """Kong's way (`path_handling: v0`) of joining the service's path with the request's."""
    parent = target.upstream.path
    if not target.strip_path:
        return escape(parent.rstrip("/") + path)
    rest = _without_leading_dots(path[len(matched) :])
    if rest:
        return escape(parent.rstrip("/") + "/" + rest.removeprefix("/"))
    closing = len(path) > 1 and path.endswith("/")
    return escape((parent.rstrip("/") + ("/" if closing else "")) or "/")


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
    if target.strip_path:
        headers.append((b"x-forwarded-prefix", escape(matched).encode()))
    return headers


def _named_by_connection(exchange: Exchange) -> frozenset[bytes]:
    connection = exchange.headers.get(b"connection")
    if connection is None or connection.lower() in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(name.strip().lower() for name in connection.split(b","))


def _forwarded(exchange: Exchange, scheme: str, port: int) -> list[tuple[bytes, bytes]]:
    client = exchange.client.encode()
    before = exchange.headers.get(b"x-forwarded-for")
    host = exchange.headers.get(b"host", b"")
    return [
        (b"x-forwarded-for", before + b", " + client if before else client),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host if host.endswith(b"]") else host.rpartition(b":")[0] or host),
        (b"x-forwarded-port", b"%d" % port),
        (b"x-forwarded-path", escape(exchange.path).encode()),
        (b"x-real-ip", client),
        (b"x-kong-request-id", exchange.request_id.encode()),
        (b"via", VIA),
    ]
