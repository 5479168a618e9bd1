"""The edge and the services' OpenAPI documents say the same: what is published, and what wants a token."""

import importlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from joserfc.jwk import ECKey

from standins.gateway.config import read
from standins.gateway.plan import plan
from standins.gateway.plugins.jwt import Jwt

SERVICES = ["auth", "product", "cart", "order", "payment"]
_ROUTER = plan(read(Path(__file__).parents[2] / "deploy/kong/kong.yml")).router


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Enough to declare any service; nothing is connected to."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    key = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
    keys.write_text(json.dumps({"keys": [key.as_dict(private=True)]}))
    return {
        "database_url": "postgresql+asyncpg://u:p@/d?host=/nowhere",
        "amqp_url": "amqp://u:p@127.0.0.1:1/",
        "jwks_url": "http://127.0.0.1:1/",
        "token_issuer": "https://shop.example",
        "token_audience": "shop",
        "signing_keys_file": keys,
        "contact_key": Fernet.generate_key().decode(),
        "product_url": "http://127.0.0.1:1",
        "cart_url": "http://127.0.0.1:1",
        "stripe_api_key": "sk_test_x",
        "stripe_webhook_secret": "whsec_xxxxxxxx",
    }


@cache
def _operations(name: str, settings: frozenset[tuple[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    service = importlib.import_module(f"{name}.main").service
    known = {key: value for key, value in settings if key in service.settings.model_fields}
    document = service.app(service.settings(**known)).openapi()
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path not in ("/healthz", "/readyz", "/metrics")
    }


def _concrete(path: str) -> str:
    return path.replace("{", "").replace("}", "")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_publishes_is_open_or_guarded_at_the_edge_as_it_says(
    name: str, settings: dict[str, Any]
) -> None:
    operations = _operations(name, frozenset(settings.items()))
    assert operations
    for (method, path), operation in operations.items():
        found = _ROUTER.find(method, _concrete(path))
        assert found, f"no route for {method} {path}"
        target, _ = found
        assert target.upstream.host == name
        guarded = any(isinstance(plugin, Jwt) for plugin in target.plugins)
        assert guarded == ("security" in operation), f"{method} {path}"
