"""The gateway's configuration: `deploy/kong/kong.yml` with auth's public keys in it."""

from devstack.stack import Stack
from shop.project import project_root
from shop.provision.kong import render_file
from shop.secrets import SIGNING_KEYS

RATE_FACTOR = "RATE_FACTOR"  # a setting of `gateway`: multiplies every rate limit, for load from one address
CORS_ORIGINS = "CORS_ORIGINS"  # another: whose pages may read answers, comma-separated


def prepare(stack: Stack) -> None:
    settings = stack.settings.get("gateway", {})
    text = render_file(
        project_root() / "deploy" / "kong" / "kong.yml",
        stack.secret(SIGNING_KEYS),
        rate_factor=settings.get(RATE_FACTOR, "1"),
        counters="local",
        cors_origins=settings.get(CORS_ORIGINS),
    )
    stack.layout.kong.write_text(text)
