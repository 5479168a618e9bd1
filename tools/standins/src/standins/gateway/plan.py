"""What `kong.yml` comes to: for each route its upstream and its plugins in Kong's order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from standins.gateway import config
from standins.gateway.exchange import Headers, Plugin
from standins.gateway.plugins import bot_detection, cors, jwt, opentelemetry, rate_limiting
from standins.gateway.plugins import sizes_and_headers as sizes
from standins.gateway.router import Router, Rule

if TYPE_CHECKING:
    from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class Target:
    """A route with everything that its requests meet."""

    route: config.Route
    service: config.Service
    measured: bool
    plugins: tuple[Plugin, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    router: Router[Target]
    everywhere: tuple[Plugin, ...]


def plan(file: config.KongFile) -> Plan:
    build = _Plugins(file.consumers)
    everywhere = build.of(file, "everywhere")
    rules: list[Rule[Target]] = []
    for service in file.services:
        on_service = everywhere | build.of(service, f"service:{service.name}")
        for route in service.routes:
            on_route = on_service | build.of(route, f"route:{route.name}")
            owners = (file, service, route)
            measured = any(entry.name == "prometheus" for owner in owners for entry in owner.plugins)
            target = Target(route, service, measured, _in_order(on_route.values()))
            methods = frozenset(route.methods or ())
            rules += (Rule(path, methods, route.regex_priority, target) for path in route.paths)
    return Plan(Router(rules), _in_order(everywhere.values()))


def _in_order(plugins: Iterable[Plugin]) -> tuple[Plugin, ...]:
    return tuple(sorted(plugins, key=lambda plugin: -plugin.priority))


def _credentials(consumers: Iterable[config.Consumer]) -> Iterable[tuple[str, jwt.Credential]]:
    for consumer in consumers:
        for secret in consumer.jwt_secrets:
            headers: Headers = {
                b"x-consumer-id": str(uuid5(NAMESPACE_URL, consumer.username)).encode(),
                b"x-consumer-username": consumer.username.encode(),
                b"x-credential-identifier": secret.key.encode(),
            }
            yield secret.key, jwt.Credential(jwt.public_key(secret.rsa_public_key), headers)


class _Plugins:
    """Makes plugins of entries: those with the same redis share its connections, all know the same keys."""

    def __init__(self, consumers: Iterable[config.Consumer]) -> None:
        self._credentials: Mapping[str, jwt.Credential] = dict(_credentials(consumers))
        self._redis: dict[rate_limiting.RedisConfig, Redis] = {}

    def of(self, owner: config.WithPlugins, scope: str) -> dict[str, Plugin]:
        """What runs for whatever `owner` holds; a limit of its own counts on its own, under `scope`."""
        made = ((entry.name, self._plugin(entry, scope)) for entry in owner.plugins)
        return {name: plugin for name, plugin in made if plugin is not None}

    def _plugin(self, entry: config.PluginEntry, scope: str) -> Plugin | None:
        match entry.config:
            case bot_detection.Config() as settings:
                return bot_detection.BotDetection(settings)
            case cors.Config() as settings:
                return cors.Cors(settings)
            case jwt.Config():
                return jwt.Jwt(self._credentials)
            case opentelemetry.Config():
                enabled = isinstance(entry, opentelemetry.OpenTelemetryEntry) and entry.enabled
                return opentelemetry.OpenTelemetry() if enabled else None
            case config.PrometheusConfig():
                return None
            case rate_limiting.Config() as settings:
                return rate_limiting.RateLimiting(settings, self._counters(settings, scope))
            case sizes.SizeConfig() as settings:
                return sizes.RequestSize(settings)
            case sizes.RequestConfig() as settings:
                return sizes.RequestTransformer(settings)
            case sizes.ResponseConfig() as settings:
                return sizes.ResponseTransformer(settings)

    def _counters(self, limits: rate_limiting.Config, scope: str) -> rate_limiting.Counters:
        if limits.redis is None:
            return rate_limiting.LocalCounters()
        from standins.gateway.plugins import redis_counters  # heavy, and only here is it needed

        if limits.redis not in self._redis:
            self._redis[limits.redis] = redis_counters.connect(limits.redis)
        return redis_counters.RedisCounters(self._redis[limits.redis], scope)
