"""What `kong.yml` comes to: for each route its upstream and its plugins in Kong's order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from standins.gateway import config
from standins.gateway.exchange import Headers, Plugin
from standins.gateway.keys import Credential, public_key
from standins.gateway.plugins import (
    correlation_id,
    cors,
    jwt,
    rate_limiting,
    request_size,
    request_transformer,
    response_transformer,
)
from standins.gateway.router import Router, Rule


@dataclass(frozen=True, slots=True)
class Upstream:
    """A Kong service: `path` stands before every request's path; timeouts in seconds."""

    host: str
    port: int
    path: str
    retries: int
    connect_timeout: float
    read_timeout: float


@dataclass(frozen=True, slots=True)
class Target:
    """A route with everything that its requests meet."""

    route: str
    strip_path: bool
    https_only: bool
    upstream: Upstream
    plugins: tuple[Plugin, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    router: Router[Target]
    everywhere: tuple[Plugin, ...]


def plan(file: config.KongFile) -> Plan:
    credentials = dict(_credentials(file.consumers))
    everywhere = {entry.name: _plugin(entry, credentials) for entry in file.plugins}
    rules: list[Rule[Target]] = []
    for service in file.services:
        on_service = everywhere | {entry.name: _plugin(entry, credentials) for entry in service.plugins}
        upstream = _upstream(service)
        for route in service.routes:
            on_route = on_service | {entry.name: _plugin(entry, credentials) for entry in route.plugins}
            target = Target(
                route=route.name,
                strip_path=route.strip_path,
                https_only=route.protocols == ["https"],
                upstream=upstream,
                plugins=_in_order(on_route.values()),
            )
            methods = frozenset(route.methods or ())
            rules += (Rule(path, methods, route.regex_priority, target) for path in route.paths)
    return Plan(Router(rules), _in_order(everywhere.values()))


def _in_order(plugins: Iterable[Plugin]) -> tuple[Plugin, ...]:
    return tuple(sorted(plugins, key=lambda plugin: -plugin.priority))


def _upstream(service: config.Service) -> Upstream:
    url = urlsplit(service.url)
    return Upstream(
        host=url.hostname or "",
        port=url.port or 80,
        path=url.path or "/",
        retries=service.retries,
        connect_timeout=service.connect_timeout / 1000,
        read_timeout=service.read_timeout / 1000,
    )


def _credentials(consumers: Iterable[config.Consumer]) -> Iterable[tuple[str, Credential]]:
    for consumer in consumers:
        for secret in consumer.jwt_secrets:
            headers: Headers = {
                b"x-consumer-username": consumer.username.encode(),
                b"x-credential-identifier": secret.key.encode(),
            }
            yield secret.key, Credential(public_key(secret.rsa_public_key), headers)


def _plugin(entry: config.PluginEntry, credentials: Mapping[str, Credential]) -> Plugin:
    match entry:
        case correlation_id.Entry():
            return correlation_id.CorrelationId(entry.config)
        case cors.Entry():
            return cors.Cors(entry.config)
        case jwt.Entry():
            return jwt.Jwt(credentials)
        case rate_limiting.Entry():
            return rate_limiting.RateLimiting(entry.config)
        case request_size.Entry():
            return request_size.RequestSize(entry.config)
        case request_transformer.Entry():
            return request_transformer.RequestTransformer(entry.config)
        case response_transformer.Entry():
            return response_transformer.ResponseTransformer(entry.config)
