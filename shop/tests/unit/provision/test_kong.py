"""Rendering the file for Kong, read back by the stand-in that knows what Kong would refuse."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc.jwk import ECKey, OctKey, RSAKey

from shop.provision.kong import CONSUMER, render
from standins.gateway.config import parse
from standins.gateway.plugins import rate_limiting
from standins.gateway.plugins.jwt import public_key
from standins.gateway.plugins.opentelemetry import OpenTelemetryEntry
from standins.gateway.plugins.sizes_and_headers import ResponseConfig

SHOP = (Path(__file__).parents[4] / "deploy/kong/kong.yml").read_text()

OLD, NEW = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("2026-10", "2026-11"))


def _keys(*keys: ECKey, private: bool = False) -> dict[str, object]:
    return {"keys": [key.as_dict(private=private) for key in keys]}


def test_the_committed_file_holds_no_keys() -> None:
    assert parse(SHOP).consumers == []


def test_both_keys_of_a_rotation_belong_to_one_consumer() -> None:
    (consumer,) = parse(render(SHOP, keys=_keys(NEW, OLD))).consumers
    assert consumer.username == CONSUMER
    assert [secret.key for secret in consumer.jwt_secrets] == ["2026-11", "2026-10"]
    assert public_key(consumer.jwt_secrets[0].rsa_public_key) == NEW.public_key


def test_no_private_key_gets_into_the_file() -> None:
    text = render(SHOP, keys=_keys(NEW, private=True))
    assert "PRIVATE" not in text
    assert str(NEW.as_dict(private=True)["d"]) not in text


def test_everything_else_stays_as_it_was_committed() -> None:
    rendered = yaml.safe_load(render(SHOP, keys=_keys(NEW)))
    del rendered["consumers"]
    assert rendered == yaml.safe_load(SHOP)


def _limits(text: str) -> list[rate_limiting.Config]:
    file = parse(text)
    owners = (file, *file.services, *(route for service in file.services for route in service.routes))
    plugins = [plugin for owner in owners for plugin in owner.plugins]
    return [plugin.config for plugin in plugins if isinstance(plugin.config, rate_limiting.Config)]


def test_every_limit_counts_in_the_redis_that_is_named_with_its_password() -> None:
    limits = _limits(render(SHOP, keys=_keys(NEW), redis="10.0.0.5:6380", redis_password="geheim"))
    stores = {(limit.policy, limit.redis) for limit in limits}
    ((policy, redis),) = stores
    assert policy == "redis"
    assert redis is not None
    assert (redis.host, redis.port, redis.password) == ("10.0.0.5", 6380, "geheim")


def test_one_gateway_on_a_machine_without_redis_counts_for_itself() -> None:
    limits = _limits(render(SHOP, keys=_keys(NEW), counters="local", redis_password="geheim"))
    assert {(limit.policy, limit.redis) for limit in limits} == {("local", None)}
    assert len(limits) == len(_limits(SHOP))


def _traces(text: str) -> OpenTelemetryEntry:
    (entry,) = (plugin for plugin in parse(text).plugins if isinstance(plugin, OpenTelemetryEntry))
    return entry


def test_traces_are_on_only_where_somebody_takes_them() -> None:
    assert not _traces(render(SHOP, keys=_keys(NEW))).enabled
    traced = _traces(render(SHOP, keys=_keys(NEW), traces_endpoint="http://collector:4318/v1/traces"))
    assert traced.enabled
    assert traced.config.traces_endpoint == "http://collector:4318/v1/traces"


@pytest.mark.parametrize("address", ["redis", "redis:", ":6379", "redis:six"])
def test_a_redis_without_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        render(SHOP, keys=_keys(NEW), redis=address)


def test_upstreams_move_to_where_they_are_and_keep_their_paths() -> None:
    rendered = yaml.safe_load(render(SHOP, keys=_keys(NEW), upstreams={"order": "127.0.0.1:18004"}))
    urls = {service["name"]: service["url"] for service in rendered["services"]}
    assert urls["order"] == urls["order-events"] == "http://127.0.0.1:18004"
    assert urls["order-openapi"] == "http://127.0.0.1:18004/openapi.json"
    assert urls["cart"] == "http://cart:8000"


def test_limits_are_scaled_together() -> None:
    before, after = (
        [
            plugin.config.minute
            for service in parse(render(SHOP, keys=_keys(NEW), rate_factor=factor)).services
            for route in service.routes
            for plugin in route.plugins
            if plugin.name == "rate-limiting"
        ]
        for factor in (1, 10)
    )
    assert after == [10 * (limit or 0) for limit in before]


def test_the_rendered_file_has_no_yaml_aliases() -> None:
    shared = SHOP.replace("_format_version", "x: &x {a: 1}\ny: *x\n_format_version")
    assert "*" not in render(shared, keys=_keys(NEW)).partition("_format_version")[0]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": []},
        {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]},
        {"keys": [ECKey.generate_key("P-384", {"kid": "a"}).as_dict(private=False)]},
        {"keys": [RSAKey.generate_key(2048, {"kid": "a"}).as_dict(private=False)]},
        {"keys": [OctKey.generate_key(256, {"kid": "a"}).as_dict()]},
    ],
    ids=["no set", "empty", "no kid", "P-384", "RSA", "shared secret"],
)
def test_keys_that_cannot_verify_our_tokens_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="key"):
        render(SHOP, keys=keys)


def test_a_host_that_no_service_has_is_refused() -> None:
    with pytest.raises(ValueError, match="ordre"):
        render(SHOP, keys=_keys(NEW), upstreams={"ordre": "127.0.0.1:1"})


def test_a_factor_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="factor"):
        render(SHOP, keys=_keys(NEW), rate_factor=0)


def _origins(text: str) -> list[str]:
    (cors,) = [plugin for plugin in yaml.safe_load(text)["plugins"] if plugin["name"] == "cors"]
    return list(cors["config"]["origins"])


def test_origins_are_those_that_are_given() -> None:
    text = render(SHOP, keys=_keys(NEW), cors_origins="https://shop.example, https://admin.shop.example:8443")
    assert parse(text)
    assert _origins(text) == ["https://shop.example", "https://admin.shop.example:8443"]


def test_an_only_origin_gets_company_because_kong_would_name_it_to_whoever_asks() -> None:
    text = render(SHOP, keys=_keys(NEW), cors_origins="https://shop.example")
    assert parse(text)
    assert _origins(text) == ["https://shop.example", "https://nobody.invalid"]


@pytest.mark.parametrize("given", [None, "", " , "])
def test_without_any_the_origins_are_the_files(given: str | None) -> None:
    assert _origins(render(SHOP, keys=_keys(NEW), cors_origins=given)) == _origins(SHOP)


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "https://a b", "null"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="write an origin as"):
        render(SHOP, keys=_keys(NEW), cors_origins=origin)


def _routes(text: str) -> dict[str, Any]:
    return {
        route["name"]: route for service in yaml.safe_load(text)["services"] for route in service["routes"]
    }


def test_https_only_redirects_every_route_but_the_providers_webhook() -> None:
    committed, rendered = _routes(SHOP), _routes(render(SHOP, keys=_keys(NEW), https_only=True))
    changed = {"protocols": ["https"], "https_redirect_status_code": 308}
    assert rendered.pop("stripe-webhooks") == committed.pop("stripe-webhooks")
    assert rendered == {name: route | changed for name, route in committed.items()}


def test_a_service_that_announces_hsts_keeps_the_headers_of_all_services() -> None:
    file = parse(render(SHOP, keys=_keys(NEW), https_only=True, hsts=300))
    everywhere = [one.config for one in file.plugins if isinstance(one.config, ResponseConfig)]
    announced = {
        service.name: [one.config for one in service.plugins if isinstance(one.config, ResponseConfig)]
        for service in file.services
    }
    hsts = "Strict-Transport-Security:max-age=300"
    assert [config.add.headers for config in announced.pop("payment")] == []
    for configs in announced.values():
        assert [config.add.headers for config in configs] == [[*everywhere[0].add.headers, hsts]]


@pytest.mark.parametrize(("https_only", "hsts"), [(False, 300), (True, -1)])
def test_hsts_without_https_only_or_for_less_than_no_time_is_refused(https_only: bool, hsts: int) -> None:
    with pytest.raises(ValueError, match="HSTS is a number of seconds"):
        render(SHOP, keys=_keys(NEW), https_only=https_only, hsts=hsts)
