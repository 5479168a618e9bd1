"""The gateway's configuration: `deploy/kong/kong.yml` with auth's public keys in it."""

import json

from devstack.stack import Stack
from shop.errors import ShopError
from shop.project import project_root
from shop.secrets import SIGNING_KEYS
from standins.gateway.render import render

RATE_FACTOR = "RATE_FACTOR"  # a setting of `gateway`: multiplies every rate limit, for load from one address
CORS_ORIGINS = "CORS_ORIGINS"  # another: whose pages may read answers, comma-separated


def prepare(stack: Stack) -> None:
    committed = project_root() / "deploy" / "kong" / "kong.yml"
    settings = stack.settings.get("gateway", {})
    try:
        keys = json.loads(stack.secret(SIGNING_KEYS))
        text = render(
            committed.read_text(),
            keys=keys,
            rate_factor=float(settings.get(RATE_FACTOR, "1")),
            counters="local",
            cors_origins=settings.get(CORS_ORIGINS),
        )
    except (OSError, ValueError) as error:
        raise ShopError(f"{committed} cannot be rendered: {error}") from error
    stack.layout.kong.write_text(text)
