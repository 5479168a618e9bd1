"""The HTTP side of every service, in this process; by default it reaches no other one and no database."""

import importlib
import json
from typing import Any

from cryptography.fernet import Fernet
from fastapi import FastAPI

from chassis.runtime.service import Service
from chassis.testing import signing_key

_KEY = Fernet.generate_key().decode()
_EVERYWHERE = {
    "database_url": "postgresql+asyncpg://nobody@127.0.0.1:1/nothing",
    "amqp_url": "amqp://nobody@127.0.0.1:1/",
    "jwks_url": "http://127.0.0.1:1/jwks",
    "token_issuer": "saga-shop",
    "token_audience": "saga-shop",
    "role": "api",
}
_OWN: dict[str, dict[str, Any]] = {
    "auth": {
        "contact_key": _KEY,
        "signing_keys": json.dumps({"keys": [signing_key().as_dict(private=True)]}),
    },
    "product": {},
    "cart": {"product_url": "http://127.0.0.1:1"},
    "order": {
        "product_url": "http://127.0.0.1:1",
        "cart_url": "http://127.0.0.1:1",
        "contact_key": _KEY,
        "action_key": _KEY,
    },
    "payment": {"stripe_api_key": "sk_test", "stripe_webhook_secret": "whsec_test", "action_key": _KEY},
    "notification": {
        "contact_key": _KEY,
        "mail_from": "Saga Shop <shop@example.com>",
        "smtp_host": "127.0.0.1",
    },
}
SERVICES = tuple(_OWN)


def app_of(name: str, **settings: Any) -> FastAPI:
    """The service's application, with these settings changed."""
    service: Service[Any] = importlib.import_module(f"{name}.main").service
    return service.app(service.settings(**_EVERYWHERE | _OWN[name] | settings))
