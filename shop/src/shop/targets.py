"""Which shop a command works on: this machine's stack, or one that the environment names."""

import os
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from shop.errors import ShopError
from shop.remote import RemoteTarget, remote_settings
from shop.secrets import Secrets

OPERATOR = "operator"  # superuser of PostgreSQL and administrator of RabbitMQ
SERVICES = ("auth", "product", "cart", "order", "payment", "notification")
ENTRY_POINTS = "shop.local"  # of the package that runs a shop on this machine


class Target(Protocol):
    """Addresses of a shop, and the operator's credentials. One that is not configured raises ShopError."""

    @property
    def gateway_url(self) -> str: ...

    @property
    def sandbox_url(self) -> str: ...

    @property
    def provider_url(self) -> str:
        """The payment provider's API: Stripe or the sandbox."""

    @property
    def provider_key(self) -> str:
        """An API key that can read the provider's lists."""

    @property
    def mailbox_url(self) -> str:
        """The mailbox or Mailpit."""

    @property
    def management_url(self) -> str:
        """RabbitMQ's management API."""

    @property
    def operator_amqp_url(self) -> str:
        """With user and password."""

    @property
    def admin_email(self) -> str: ...

    @property
    def admin_password(self) -> str: ...

    @property
    def customers_secret(self) -> str:
        """A replay derives its customers' passwords from it."""

    @property
    def nudge_days(self) -> int:
        """How many days after an order was placed every service still knows what it did for it."""

    @property
    def topology(self) -> Path | None:
        """The file of the broker's definitions, if the target has its own."""

    def operator_dsn(self, database: str = "postgres") -> str:
        """For asyncpg and psql, as superuser."""


class LocalTarget(Target, Protocol):
    """The stack on this machine: its processes and files can be reached, too."""

    @property
    def secrets(self) -> Secrets: ...

    def addresses(self, service: str) -> dict[str, str]:
        """The base URL of every copy of a service, by the copy's name."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Only one command at a time changes the stack. Raises ShopError when another one does not finish."""

    def is_running(self) -> bool: ...

    async def set_passwords(self) -> None:
        """Have PostgreSQL and RabbitMQ accept the secrets' passwords, each the first in its file. Raises
        ShopError if one of them does not answer or refuses."""

    def reload_gateway(self) -> None:
        """Render the gateway's file with the current keys, and have the gateway read it."""

    def exported(self) -> dict[str, str]:
        """The settings that a `RemoteTarget` for this shop needs, by their names."""


def resolve(url: str | None = None) -> LocalTarget | RemoteTarget:
    """The shop at `url`, else at `SHOP_URL`, else the stack. Raises ShopError when there is none."""
    if url is None and os.environ.get("SHOP_URL") and os.environ.get("SHOP_STACK"):
        raise ShopError("SHOP_URL names one shop and --stack or SHOP_STACK another: give only one of them")
    if url is None and not os.environ.get("SHOP_URL"):
        return local_target()
    return RemoteTarget(remote_settings(url=url))


def local_target() -> LocalTarget:
    """Raises ShopError when no package that runs a stack is installed."""
    for found in entry_points(group=ENTRY_POINTS):
        local: LocalTarget = found.load()()
        return local
    raise ShopError(
        "SHOP_URL is not set, and no stack can run here: `shop env`, run next to a shop, prints its variables"
    )
