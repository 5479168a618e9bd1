"""kong.yml, committed and rendered, is valid for Kong 3.9 and says whatever Kong would otherwise guess."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from shop.provision.kong import render
from tests.edge.schema import complaints
from tests.edge.tokens import KEY_SET

_COMMITTED = (Path(__file__).parents[2] / "deploy/kong/kong.yml").read_text()
_RENDERED = {
    "with keys": render(_COMMITTED, keys=KEY_SET),
    "for compose": render(
        _COMMITTED,
        keys=KEY_SET,
        redis="redis:6379",
        redis_password="geheim",
        traces_endpoint="http://collector:4318/v1/traces",
    ),
    "with TLS to redis": render(_COMMITTED, keys=KEY_SET, redis_tls=True),
    "for HTTPS only": render(_COMMITTED, keys=KEY_SET, https_only=True, hsts=63072000),
    "for one machine": render(_COMMITTED, keys=KEY_SET, counters="local", rate_factor=2.5),
}


@pytest.mark.parametrize("text", [_COMMITTED, *_RENDERED.values()], ids=["as committed", *_RENDERED])
def test_kong_accepts_the_file_and_guesses_no_value_that_matters(text: str) -> None:
    assert complaints(yaml.safe_load(text)) == []


def test_kong_accepts_the_tests_own_file_too() -> None:
    lab = yaml.safe_load((Path(__file__).parent / "lab.yml").read_text())
    assert [line for line in complaints(lab) if ".methods: missing" not in line] == []


def _plugins(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    owners = [document, *document["services"], *(r for s in document["services"] for r in s["routes"])]
    return [plugin for owner in owners for plugin in owner.get("plugins", []) if plugin["name"] == name]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("jwt", "uri_params", []),
        ("jwt", "claims_to_verify", ["aud"]),
        ("cors", "credentials", "no"),
        ("rate-limiting", "redis_host", "redis"),
        ("rate-limiting", "policy", "cluster"),
        ("rate-limiting", "minute", 0),
        ("rate-limiting", "redis", {"host": "redis", "port": "6379", "timeout": 1, "ssl": False}),
        ("rate-limiting", "redis", {"host": "redis", "port": 6379}),
        ("rate-limiting", "redis", {"ssl": True, "ssl_verify": True, "server_name": "10.0.0.5"}),
        ("opentelemetry", "endpoint", "http://collector:4318/v1/traces"),
        ("opentelemetry", "sampling_rate", 2),
        ("opentelemetry", "resource_attributes", {"service.name": 1}),
        ("prometheus", "status_code_metrics", 1),
        ("bot-detection", "whitelist", []),
        ("request-size-limiting", "size_unit", "gigabytes"),
        ("response-transformer", "add", {"headers": ["X-Frame-Options"]}),
    ],
)
def test_a_field_or_value_that_kong_does_not_know_is_reported(name: str, field: str, value: object) -> None:
    document = yaml.safe_load(_COMMITTED)
    _plugins(document, name)[0]["config"][field] = value
    assert [line for line in complaints(document) if f".{name}.config.{field}" in line]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("jwt", "uri_param_names"),
        ("jwt", "claims_to_verify"),
        ("rate-limiting", "fault_tolerant"),
        ("request-size-limiting", "allowed_payload_size"),
        ("cors", "origins"),
        ("opentelemetry", "propagation"),
    ],
)
def test_a_dangerous_default_is_reported(name: str, field: str) -> None:
    document = yaml.safe_load(_COMMITTED)
    del _plugins(document, name)[-1]["config"][field]
    assert [line for line in complaints(document) if f".{name}.config.{field}: missing" in line]


@pytest.mark.parametrize(
    ("entity", "change"),
    [
        ("route", {"strip-path": False}),
        ("route", {"methods": ["get"]}),
        ("route", {"https_redirect_status_code": 303}),
        ("route", {"paths": ["v1"]}),
        ("service", {"retries": True}),
        ("service", {"timeout": 5}),
        ("plugin", {"name": "acl"}),
        ("plugin", {"enable": True}),
    ],
)
def test_an_entity_that_kong_does_not_know_is_reported(entity: str, change: dict[str, Any]) -> None:
    document = yaml.safe_load(_COMMITTED)
    service = document["services"][0]
    {"service": service, "route": service["routes"][0], "plugin": document["plugins"][0]}[entity].update(
        change
    )
    assert complaints(document)
