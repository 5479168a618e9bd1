"""`kong.yml` with what the committed file cannot hold: auth's public keys, this machine's addresses.

Kong has no JWKS and cannot read a public key from its environment, so the keys are in the rendered file.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import yaml
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

CONSUMER = "holders-of-our-tokens"
NOBODY = "https://nobody.invalid"
"""Added to a single origin: Kong would send that one in every response."""

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")


class _WithoutAliases(yaml.SafeDumper):
    """Kong fills in the tables that it reads: two places must not share one."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def render(
    kong_yml: str,
    *,
    keys: Mapping[str, Any],
    upstreams: Mapping[str, str] | None = None,
    rate_factor: float = 1,
    counters: Literal["redis", "local"] = "redis",
    redis: str | None = None,
    redis_password: str | None = None,
    cors_origins: str | None = None,
    traces_endpoint: str | None = None,
) -> str:
    """The file for Kong or the stand-in to load.

    `keys` is a JWK set of P-256 keys with `kid`, of which only the public half is used; during a rotation it
    holds the old and the new one. `upstreams` replaces hosts (`{"order": "127.0.0.1:18004"}`), `rate_factor`
    multiplies every rate limit. Limits count in redis (at `redis`, host:port, if not where the file says), or
    with `counters="local"` in each gateway for itself. `cors_origins`, comma-separated, stand in place of the
    file's. Traces are handed on and exported if `traces_endpoint`
    says where to. Raises ValueError for a set without usable keys, for an unknown host, for a factor that is
    not above zero, or for an address that is none.
    """
    document: dict[str, Any] = yaml.safe_load(kong_yml)
    document["consumers"] = [{"username": CONSUMER, "jwt_secrets": [_secret(key) for key in _all(keys)]}]
    _move(document, upstreams or {})
    if rate_factor <= 0:
        raise ValueError("the rate factor must be above zero")
    for plugin in _plugins(document):
        if plugin["name"] == "rate-limiting":
            _scale(plugin["config"], rate_factor)
            _count(plugin["config"], counters, redis, redis_password)
        elif plugin["name"] == "cors":
            plugin["config"]["origins"] = _origins(cors_origins or "") or plugin["config"]["origins"]
        elif plugin["name"] == "opentelemetry":
            plugin["enabled"] = traces_endpoint is not None
            plugin["config"]["traces_endpoint"] = traces_endpoint or plugin["config"]["traces_endpoint"]
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, width=110)


def _all(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    held = keys.get("keys")
    if not isinstance(held, list) or not held:
        raise ValueError("the JWK set holds no keys")
    return held


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
    for service in document["services"]:
        url = urlsplit(service["url"])
        if url.hostname in upstreams:
            service["url"] = urlunsplit(url._replace(netloc=upstreams[url.hostname]))


def _plugins(document: dict[str, Any]) -> list[dict[str, Any]]:
    services = document["services"]
    routes = [route for service in services for route in service.get("routes", [])]
    return [plugin for owner in (document, *services, *routes) for plugin in owner.get("plugins", [])]


def _scale(limits: dict[str, Any], factor: float) -> None:
    for window in limits.keys() & {"second", "minute", "hour", "day", "month", "year"}:
        limits[window] = max(1, round(limits[window] * factor))


def _origins(text: str) -> list[str]:
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"write an origin as https://host or https://host:port, not {origin!r}")
    return [*origins, NOBODY] if len(origins) == 1 else origins


def _count(limits: dict[str, Any], counters: str, redis: str | None, password: str | None) -> None:
    if counters == "local":
        limits["policy"] = "local"
        limits.pop("redis", None)
    if limits["policy"] != "redis":
        return
    if redis is not None:
        host, _, port = redis.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"write the redis as host:port, not {redis!r}")
        limits["redis"] |= {"host": host, "port": int(port)}
    if password is not None:
        limits["redis"]["password"] = password
