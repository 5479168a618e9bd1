"""The stand-in serves what it understands and refuses the rest, so it cannot allow what Kong would forbid."""

from typing import Any

import pytest
import yaml

from standins.gateway.config import Refused, parse
from tools.standins.tests.unit.gateway.files import SHOP, changed, plugin, smallest

ROUTE = "services.0.routes.0"
SERVICE = "services.0"


def test_the_shops_own_file_is_understood() -> None:
    assert {service.name for service in parse(SHOP).services} >= {
        "auth",
        "product",
        "cart",
        "order",
        "payment",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("_format_version", "2.1"),
        ("_transform", False),
        ("upstreams", []),
        ("certificates", []),
        ("vaults", []),
        ("plugins", [{"name": "acl", "config": {"allow": ["admins"]}}]),
        ("plugins", [{"name": "ip-restriction", "config": {"deny": ["0.0.0.0/0"]}}]),
        ("plugins", [plugin("cors"), plugin("cors")]),
        ("plugins", [plugin("cors") | {"enabled": False}]),
        ("plugins", [plugin("cors") | {"protocols": ["https"]}]),
        ("consumers", [{"username": "a", "acls": []}]),
        ("consumers", [{"username": "a"}, {"username": "a"}]),
        (
            "consumers",
            [{"username": "a", "jwt_secrets": [{"key": "k", "algorithm": "HS256", "secret": "s"}]}],
        ),
        (
            "consumers",
            [{"username": "a", "jwt_secrets": [{"key": "k", "algorithm": "ES256", "rsa_public_key": "no"}]}],
        ),
        (f"{SERVICE}.enabled", False),
        (f"{SERVICE}.tls_verify", True),
        (f"{SERVICE}.url", "https://shop:8443"),
        (f"{SERVICE}.url", "http://shop"),
        (f"{SERVICE}.retries", -1),
        (f"{SERVICE}.retries", "1"),
        (f"{SERVICE}.write_timeout", 2000),
        (f"{SERVICE}.connect_timeout", 0),
        (f"{ROUTE}.hosts", ["shop.example"]),
        (f"{ROUTE}.headers", {"x-version": ["1"]}),
        (f"{ROUTE}.snis", ["shop.example"]),
        (f"{ROUTE}.sources", [{"ip": "10.0.0.0/8"}]),
        (f"{ROUTE}.expression", 'http.path == "/"'),
        (f"{ROUTE}.path_handling", "v1"),
        (f"{ROUTE}.preserve_host", True),
        (f"{ROUTE}.https_redirect_status_code", 303),
        (f"{ROUTE}.request_buffering", False),
        (f"{ROUTE}.protocols", ["grpc"]),
        (f"{ROUTE}.methods", []),
        (f"{ROUTE}.methods", ["get"]),
        (f"{ROUTE}.strip_path", "no"),
        (f"{ROUTE}.paths", []),
        (f"{ROUTE}.paths", ["v1"]),
        (f"{ROUTE}.paths", ["/a%20b"]),
        (f"{ROUTE}.paths", ["~v1"]),
        (f"{ROUTE}.paths", ["~/(unclosed"]),
        (f"{ROUTE}.paths", ["~/(?<id>[0-9]+)"]),
        (f"{ROUTE}.paths", [r"~/\d+"]),
        (f"{ROUTE}.paths", ["~/a|/b"]),
        (f"{ROUTE}.paths", ["~/a$b"]),
        (f"{ROUTE}.paths", [r"~/a\$"]),
        (f"{ROUTE}.name", None),
    ],
)
def test_what_is_not_known_is_refused_in_one_line_that_says_where(path: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        parse(changed(smallest(), path, value))
    line = str(refused.value)
    assert "\n" not in line
    assert path.split(".")[0] in line or "twice" in line


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("jwt", "uri_param_names", ["jwt"]),
        ("jwt", "cookie_names", ["jwt"]),
        ("jwt", "header_names", ["x-token"]),
        ("jwt", "key_claim_name", "iss"),
        ("jwt", "claims_to_verify", []),
        ("jwt", "claims_to_verify", ["exp", "nbf"]),
        ("jwt", "anonymous", "someone"),
        ("jwt", "secret_is_base64", True),
        ("jwt", "run_on_preflight", False),
        ("jwt", "maximum_expiration", 3600),
        ("jwt", "realm", "shop"),
        ("cors", "origins", ["*", "http://a.example"]),
        ("cors", "origins", ["http://only.example"]),
        ("cors", "origins", ["http://.*\\.example", "http://a.example"]),
        ("cors", "credentials", True),
        ("cors", "preflight_continue", True),
        ("cors", "private_network", True),
        ("cors", "allow_origin_absent", False),
        ("rate-limiting", "policy", "cluster"),
        ("rate-limiting", "policy", "local"),
        ("rate-limiting", "sync_rate", 10),
        ("rate-limiting", "redis", None),
        ("rate-limiting", "redis.ssl", True),
        ("rate-limiting", "redis.database", 1),
        ("rate-limiting", "redis.username", "kong"),
        ("rate-limiting", "redis_host", "redis"),
        ("rate-limiting", "limit_by", "consumer"),
        ("rate-limiting", "second", 1_000_000),
        ("rate-limiting", "minute", 0),
        ("rate-limiting", "minute", 1.5),
        ("rate-limiting", "day", 1_000_000),
        ("rate-limiting", "hide_client_headers", True),
        ("rate-limiting", "error_code", 403),
        ("rate-limiting", "redis", {}),
        ("request-size-limiting", "size_unit", "gigabytes"),
        ("request-size-limiting", "allowed_payload_size", 0),
        ("request-size-limiting", "require_content_length", True),
        ("response-transformer", "remove", {"headers": ["Server"]}),
        ("response-transformer", "add", {"json": ["a:1"]}),
        ("response-transformer", "add", {"headers": ["X-A: 1"]}),
        ("request-transformer", "add", {"headers": ["a:1"]}),
        ("request-transformer", "http_method", "GET"),
        ("bot-detection", "deny", ["(a|b)"]),
        ("bot-detection", "deny", ["a+"]),
        ("bot-detection", "blacklist", []),
        ("opentelemetry", "traces_endpoint", "collector"),
        ("opentelemetry", "sampling_rate", 0.5),
        ("opentelemetry", "propagation.extract", ["w3c", "b3"]),
        ("opentelemetry", "propagation.inject", ["preserve"]),
        ("opentelemetry", "header_type", "w3c"),
        ("opentelemetry", "endpoint", "http://collector:4318/v1/traces"),
        ("prometheus", "per_consumer", True),
        ("prometheus", "bandwidth_metrics", True),
    ],
)
def test_a_plugin_is_refused_with_an_option_or_value_that_is_not_known(
    name: str, option: str, value: Any
) -> None:
    good = smallest() | {"plugins": [plugin(name)]}
    assert parse(yaml.safe_dump(good)).plugins
    with pytest.raises(Refused, match=f"plugins.0.{name}.config"):
        parse(changed(good, f"plugins.0.config.{option}", value))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("jwt", "uri_param_names"),
        ("jwt", "claims_to_verify"),
        ("cors", "credentials"),
        ("rate-limiting", "policy"),
        ("rate-limiting", "fault_tolerant"),
        ("rate-limiting", "sync_rate"),
        ("rate-limiting", "redis"),
        ("bot-detection", "allow"),
        ("opentelemetry", "propagation"),
        ("prometheus", "status_code_metrics"),
        ("request-size-limiting", "allowed_payload_size"),
    ],
)
def test_a_plugin_is_refused_without_a_value_whose_default_is_a_trap(name: str, option: str) -> None:
    settings = plugin(name)
    del settings["config"][option]
    with pytest.raises(Refused, match=f"{option}: Field required|policy {option} needs its record"):
        parse(yaml.safe_dump(smallest() | {"plugins": [settings]}))


@pytest.mark.parametrize("field", ["retries", "connect_timeout", "read_timeout"])
def test_a_service_without_its_timeouts_is_refused(field: str) -> None:
    document = smallest()
    del document["services"][0][field]
    with pytest.raises(Refused, match=f"services.0.{field}: Field required"):
        parse(yaml.safe_dump(document))


def test_a_route_without_strip_path_is_refused() -> None:
    document = smallest()
    del document["services"][0]["routes"][0]["strip_path"]
    with pytest.raises(Refused, match="strip_path: Field required"):
        parse(yaml.safe_dump(document))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "services: 3"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse(text)
