"""`kong.yml` with what the committed file cannot hold: auth's public keys, redis's password, addresses.

Kong has no JWKS and cannot read a public key from its environment, so the keys are in the rendered file.
"""

import copy
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import yaml
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shop.errors import ShopError

CONSUMER = "holders-of-our-tokens"
NOBODY = "https://nobody.invalid"
"""Added to a single origin: Kong would send that one in every response."""

PLAIN = frozenset(("stripe-webhooks",))
"""Routes that are served without TLS even where all others redirect: a provider follows no redirect, and its
sandbox calls from inside. What it sends is signed."""

Counters = Literal["redis", "local"]
_ADDRESS = re.compile(r"[^:]+:[0-9]+")
_IP_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")


class _WithoutAliases(yaml.SafeDumper):
    """Kong fills in the tables that it reads: two entries must not share one."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def render_file(kong_file: Path, keys: str, *, rate_factor: float | str = 1, **options: Any) -> str:
    """The file rendered; `keys` is JSON, the options are those of `render`. Raises ShopError if one is
    invalid or a file cannot be read."""
    try:
        factor = float(rate_factor)
        return render(kong_file.read_text(), keys=json.loads(keys), rate_factor=factor, **options)
    except (OSError, ValueError) as error:
        raise ShopError(f"{kong_file} cannot be rendered: {error}") from error


def render(
    kong_yml: str,
    *,
    keys: Mapping[str, Any],
    upstreams: Mapping[str, str] | None = None,
    rate_factor: float = 1,
    counters: Counters = "redis",
    redis: str | None = None,
    redis_password: str | None = None,
    redis_tls: bool = False,
    cors_origins: str | None = None,
    traces_endpoint: str | None = None,
    https_only: bool = False,
    hsts: int | None = None,
) -> str:
    """The file for Kong or the stand-in to load. Raises ValueError for an argument that is invalid.

    `keys`: a JWK set of P-256 keys with `kid`, of which only the public half is used; during a rotation it
        has the old and the new one.
    `upstreams`: replaces hosts, `{"order": "127.0.0.1:18004"}`.
    `rate_factor`: multiplies every rate limit.
    `counters`: limits count in redis, or with `local` in each gateway for itself.
    `redis`: host:port, if not where the file says.
    `redis_tls`: Kong speaks TLS to redis, and verifies its certificate and host name by the CAs of Kong's
        `lua_ssl_trusted_certificate`.
    `cors_origins`: comma-separated, instead of the file's.
    `traces_endpoint`: where traces are exported to, over HTTP; without it there are none.
    `https_only`: requests without TLS are redirected (308), but for those of `PLAIN`.
    `hsts`: for so many seconds browsers refuse to do without TLS (RFC 6797); needs `https_only`.
    """
    document: dict[str, Any] = yaml.safe_load(kong_yml)
    held = keys.get("keys")
    if not isinstance(held, list) or not held:
        raise ValueError("the JWK set holds no keys")
    document["consumers"] = [{"username": CONSUMER, "jwt_secrets": [_secret(key) for key in held]}]
    _move(document, upstreams or {})
    if rate_factor <= 0:
        raise ValueError("the rate factor must be above zero")
    if traces_endpoint is not None and not traces_endpoint.startswith(("http://", "https://")):
        raise ValueError(f"write the traces endpoint as a URL, not {traces_endpoint!r}")
    services = document["services"]
    routes = [route for service in services for route in service.get("routes", [])]
    for plugin in [plugin for owner in (document, *services, *routes) for plugin in owner.get("plugins", [])]:
        config = plugin.get("config")
        if plugin["name"] == "rate-limiting":
            for window in config.keys() & {"second", "minute", "hour", "day", "month", "year"}:
                config[window] = max(1, round(config[window] * rate_factor))
            _count(config, counters, redis, redis_password, redis_tls)
        elif plugin["name"] == "cors":
            config["origins"] = _origins(cors_origins or "") or config["origins"]
        elif plugin["name"] == "opentelemetry":
            plugin["enabled"] = traces_endpoint is not None
            config["traces_endpoint"] = traces_endpoint or config["traces_endpoint"]
    if https_only:
        _redirect(routes)
    if hsts is not None:
        if not https_only or hsts < 0:
            raise ValueError("HSTS is a number of seconds, for a gateway that serves HTTPS only")
        _announce(document, hsts)
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, width=110)


def _redirect(routes: Iterable[dict[str, Any]]) -> None:
    for route in routes:
        if route["name"] not in PLAIN:
            route |= {"protocols": ["https"], "https_redirect_status_code": 308}


def _announce(document: dict[str, Any], hsts: int) -> None:
    """Gives services the header. A redirect is answered before their plugins run, and an answer without TLS
    must not have it (RFC 6797, 7.2); Kong does not choose plugins by a request's protocol."""
    [everywhere] = (one for one in document["plugins"] if one["name"] == "response-transformer")
    for service in document["services"]:
        if not PLAIN.intersection(route["name"] for route in service["routes"]):
            plugin = copy.deepcopy(everywhere)  # it replaces that of all services
            plugin["config"]["add"]["headers"].append(f"Strict-Transport-Security:max-age={hsts}")
            service.setdefault("plugins", []).append(plugin)


def _secret(jwk: dict[str, Any]) -> dict[str, Any]:
    kid = jwk.get("kid")
    if not kid:
        raise ValueError("a key of the JWK set has no kid")
    try:
        key = ECKey.import_key(jwk)
    except (JoseError, ValueError, KeyError) as error:
        raise ValueError(f"key {kid}: {error}") from None
    if key.curve_name != "P-256":
        raise ValueError(f"key {kid}: ES256 needs P-256")
    return {"key": kid, "algorithm": "ES256", "rsa_public_key": key.as_pem(private=False).decode()}


def _move(document: dict[str, Any], upstreams: Mapping[str, str]) -> None:
    hosts = {urlsplit(service["url"]).hostname for service in document["services"]}
    unknown = upstreams.keys() - hosts
    if unknown:
        raise ValueError(f"no service has the upstream host {min(unknown)}")
    if wrong := [name for name, address in upstreams.items() if not _ADDRESS.fullmatch(address)]:
        raise ValueError(f"write an upstream as name=host:port, not {wrong[0]}={upstreams[wrong[0]]}")
    for service in document["services"]:
        url = urlsplit(service["url"])
        if url.hostname in upstreams:
            service["url"] = urlunsplit(url._replace(netloc=upstreams[url.hostname]))


def _origins(text: str) -> list[str]:
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"write an origin as https://host or https://host:port, not {origin!r}")
    return [*origins, NOBODY] if len(origins) == 1 else origins


def _count(limits: dict[str, Any], counters: str, redis: str | None, password: str | None, tls: bool) -> None:
    if counters == "local":
        limits["policy"] = "local"
        limits.pop("redis", None)
    if limits["policy"] != "redis":
        return
    if redis is not None:
        if not _ADDRESS.fullmatch(redis):
            raise ValueError(f"write the redis as host:port, not {redis!r}")
        host, port = redis.split(":")
        limits["redis"] |= {"host": host, "port": int(port)}
    if password is not None:
        limits["redis"]["password"] = password
    if tls:
        host = limits["redis"]["host"]
        if _IP_ADDRESS.fullmatch(host):  # no SNI, says Kong's schema, and RFC 6066 before it
            raise ValueError(f"redis with TLS needs a host name, not {host}")
        limits["redis"] |= {"ssl": True, "ssl_verify": True, "server_name": host}
