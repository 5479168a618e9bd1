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
    prefix = forwarded(exchange, b"x-forwarded-prefix", escape(matched) if target.strip_path else "")
    if prefix:
        headers.append((b"x-forwarded-prefix", prefix.encode()))
    return headers


def forwarded(exchange: Exchange, name: bytes, seen: str) -> str:
    """What a trusted proxy says in a header of that name, or what was seen here."""
    said = exchange.headers.get(name) if exchange.trusted else None
    return seen if said is None else said.decode("latin-1")


def _named_by_connection(exchange: Exchange) -> frozenset[bytes]:
    connection = exchange.headers.get(b"connection")
    if connection is None or connection.lower() in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(name.strip().lower() for name in connection.split(b","))


def _forwarded(exchange: Exchange, scheme: str, port: int) -> list[tuple[bytes, bytes]]:
    peer = exchange.peer.encode()
    before = exchange.headers.get(b"x-forwarded-for")
    host = exchange.headers.get(b"host", b"").decode("latin-1")
    seen = {
        b"x-forwarded-proto": scheme,
        b"x-forwarded-host": host if host.endswith("]") else host.rpartition(":")[0] or host,
        b"x-forwarded-port": str(port),
        b"x-forwarded-path": escape(exchange.path),
    }
    return [
        (b"x-forwarded-for", before + b", " + peer if before else peer),
        *((name, forwarded(exchange, name, value).encode("latin-1")) for name, value in seen.items()),
        (b"x-real-ip", exchange.client.encode()),
        (b"x-kong-request-id", exchange.request_id.encode()),
        (b"via", VIA),
    ]
